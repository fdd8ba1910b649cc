// Tile instructions by hand: a CPU without them raises SIGILL, whose handler reads the instruction, does what it says and goes on behind it.
#define _GNU_SOURCE
#include "tiles.h"
#if defined(__x86_64__) && defined(__linux__)
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { TILES = 8, ROWS = 16, BYTES = 64 };

typedef struct tile {
  size_t rows, bytes; // 0 where it is not configured
  uint8_t at[ROWS][BYTES];
} tile;
static _Thread_local tile tiles[TILES];
static _Thread_local int configured;

static void fault(const char *why) {
  static const char text[] = "a tile instruction faults: ";
  if (write(2, text, sizeof text - 1) < 0 || write(2, why, strlen(why)) < 0 || write(2, "\n", 1) < 0) _exit(4);
  _exit(3);
}

static tile *tile_at(unsigned number) {
  if (!configured || number >= TILES || !tiles[number].rows) fault("no such tile is configured");
  return &tiles[number];
}

static void load_configuration(const uint8_t *from) {
  memset(tiles, 0, sizeof tiles);
  configured = from[0];
  if (from[0] > 1 || from[1]) fault("palette 1 from row 0 alone");
  for (int i = 2; i < 16; i++)
    if (from[i]) fault("reserved bytes are set");
  for (int i = 0; i < 16; i++) {
    uint16_t bytes;
    memcpy(&bytes, from + 16 + 2 * i, 2);
    const uint8_t rows = from[48 + i];
    if (rows > ROWS || bytes > BYTES || !rows != !bytes || (i >= TILES && rows)) fault("no such shape");
    if (i < TILES && configured) tiles[i].rows = rows, tiles[i].bytes = bytes;
  }
}

static void load(tile *to, const uint8_t *from, int64_t stride) {
  memset(to->at, 0, sizeof to->at);
  for (size_t r = 0; r < to->rows; r++) memcpy(to->at[r], from + (int64_t)r * stride, to->bytes);
}

static void store(const tile *from, uint8_t *to, int64_t stride) {
  for (size_t r = 0; r < from->rows; r++) memcpy(to + (int64_t)r * stride, from->at[r], from->bytes);
}

// u8 of a, four k a dword, by s8 of b, whose rows are those fours.
static void multiply_unsigned_signed(tile *sum, const tile *a, const tile *b) {
  if (sum == a || sum == b || a == b) fault("a tile twice in a product");
  if (sum->rows != a->rows || sum->bytes != b->bytes || a->bytes % 4 || sum->bytes % 4 || a->bytes / 4 != b->rows) fault("shapes that do not fit");
  for (size_t m = 0; m < sum->rows; m++)
    for (size_t n = 0; n < sum->bytes / 4; n++) {
      uint32_t total;
      memcpy(&total, &sum->at[m][4 * n], 4);
      for (size_t k = 0; k < a->bytes; k++) total += (uint32_t)((int32_t)a->at[m][k] * (int8_t)b->at[k / 4][4 * n + k % 4]);
      memcpy(&sum->at[m][4 * n], &total, 4);
    }
}

typedef struct operand {
  const uint8_t *end; // of the instruction
  uint64_t address;   // with the displacement
  int64_t index;      // times its scale: the stride
} operand;

static uint64_t register_at(const ucontext_t *context, unsigned number) {
  static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return (uint64_t)context->uc_mcontext.gregs[order[number]];
}

// What the byte at `modrm` and those behind it address; x and b extend the index and the base.
static operand memory(const ucontext_t *context, const uint8_t *modrm, unsigned x, unsigned b) {
  const unsigned mode = *modrm >> 6, low = *modrm & 7;
  operand o = {modrm + 1, 0, 0};
  int wide = mode == 2;
  if (low == 4) {
    const unsigned sib = *o.end++, index = (sib >> 3 & 7) | x << 3, base = sib & 7;
    if (index != 4) o.index = (int64_t)register_at(context, index) << (sib >> 6);
    if (base == 5 && mode == 0)
      wide = 1;
    else
      o.address = register_at(context, base | b << 3);
  } else if (low == 5 && mode == 0) {
    int32_t displacement;
    memcpy(&displacement, o.end, 4);
    o.end += 4;
    o.address = (uint64_t)o.end + (uint64_t)(int64_t)displacement;
    return o;
  } else {
    o.address = register_at(context, low | b << 3);
  }
  int32_t displacement = 0;
  if (wide) memcpy(&displacement, o.end, 4), o.end += 4;
  if (mode == 1) displacement = (int8_t)*o.end++;
  o.address += (uint64_t)(int64_t)displacement;
  return o;
}

static void on_illegal(int signal, siginfo_t *info, void *opaque) {
  (void)signal, (void)info;
  ucontext_t *context = opaque;
  const uint8_t *at = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP];
  // VEX of three bytes, map 0F38, 128 bits, W0; the prefix is the low two bits.
  if (at[0] != 0xc4 || (at[1] & 31) != 2 || at[2] & 0x84) fault("another instruction that this CPU has not");
  const unsigned r = !(at[1] & 0x80), x = !(at[1] & 0x40), b = !(at[1] & 0x20), other = ~at[2] >> 3 & 15, prefix = at[2] & 3, code = at[3];
  const unsigned mode = at[4] >> 6, reg = (at[4] >> 3 & 7) | r << 3, low = (at[4] & 7) | b << 3;
  enum { none, x66, xf3, xf2 };
  const uint8_t *end = at + 5;
  if (mode == 3 && code == 0x5e && prefix == x66) {
    multiply_unsigned_signed(tile_at(reg), tile_at(low), tile_at(other));
  } else if (mode == 3 && code == 0x49 && prefix == xf2 && low == 0) {
    memset(tile_at(reg)->at, 0, sizeof tiles[0].at);
  } else if (mode == 3 && code == 0x49 && prefix == none && at[4] == 0xc0) {
    configured = 0;
  } else if (mode != 3) {
    const operand o = memory(context, at + 4, x, b);
    end = o.end;
    if (code == 0x49 && prefix == none && reg == 0)
      load_configuration((const uint8_t *)(o.address + (uint64_t)o.index));
    else if (code == 0x4b && (prefix == xf2 || prefix == x66) && (at[4] & 7) == 4)
      load(tile_at(reg), (const uint8_t *)o.address, o.index);
    else if (code == 0x4b && prefix == xf3 && (at[4] & 7) == 4)
      store(tile_at(reg), (uint8_t *)o.address, o.index);
    else
      fault("another instruction that this CPU has not");
  } else {
    fault("another instruction that this CPU has not");
  }
  context->uc_mcontext.gregs[REG_RIP] = (greg_t)end;
}

void emulate_tiles(void) {
  struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO};
  if (sigaction(SIGILL, &action, NULL)) exit(4);
}
#else
void emulate_tiles(void) {}
#endif
