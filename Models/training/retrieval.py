"""Recall and rerank as `ftf eval` counts them, from a model's vectors, with an interval over images."""
import torch

from losses import sentence_scores, word_scores

KS = (1, 5, 10)


@torch.no_grad()
def encode(model, split, captions, device, size=64):
    """g [n, d], P [n, N, d] of a split's images; t, W, word mask and ids of its different captions; who owns which caption.

    Returns a dict; `owner` int[m] and `column` int[m] describe all captions, the equal ones too, image by image.
    """
    model.eval()
    run = lambda f, *a: f(*(x.to(device) for x in a))
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        images = [run(model.vision, split.pixels[i : i + size].float()) for i in range(0, len(split), size)]
        which = sorted({c for own in split.all_captions for c in own}, key=lambda c: len(captions.ids[c]))
        texts, words = [], max(len(captions.ids[c]) for c in which)
        for i in range(0, len(which), 4 * size):
            t, W, mask = run(model.text, *captions.batch(which[i : i + 4 * size]))
            pad = max(0, words - W.shape[1])
            texts.append((t, torch.nn.functional.pad(W, (0, 0, 0, pad))[:, :words], torch.nn.functional.pad(mask, (0, pad))[:, :words]))
    ids = torch.zeros(len(which), words, dtype=torch.long)
    for row, c in enumerate(which):
        inner = captions.ids[c][1:-1]
        ids[row, : len(inner)] = torch.tensor(inner)
    column = {c: i for i, c in enumerate(which)}
    g, P = (torch.cat([x[k] for x in images]).cpu() for k in (0, 1))
    t, W, mask = (torch.cat([x[k] for x in texts]).cpu() for k in (0, 1, 2))
    return dict(g=g, P=P, t=t, W=W, mask=mask, rarity=captions.rarity[ids] * mask,
                owner=torch.tensor([i for i, own in enumerate(split.all_captions) for _ in own]),
                column=torch.tensor([column[c] for own in split.all_captions for c in own]))


def coarse(v): return v["g"] @ v["t"].T


@torch.no_grad()
def fine(v, mode, beta, tau, device=torch.device("cpu"), size=32):
    """s_f of all images with all different captions [n, c]; mode: balanced, words, rare (words weighed by rarity) or maxsim."""
    t, W = v["t"].to(device), v["W"].to(device)
    weights = (v["rarity"] if mode == "rare" else v["mask"].float()).to(device)
    size = size if mode == "balanced" else 4
    out = []
    for i in range(0, len(v["g"]), size):
        g, P = v["g"][i : i + size].to(device), v["P"][i : i + size].to(device)
        if mode == "balanced": out.append(sentence_scores(g, P, t, beta, tau))
        elif mode == "maxsim":
            best = torch.einsum("bnd,cmd->bcmn", P, W).amax(-1)
            out.append((best * weights).sum(-1) / weights.sum(-1).clamp_min(1))
        else: out.append(word_scores(g, P, W, weights, beta, tau))
    return torch.cat(out).cpu()


def reranked(s, f, K, lam):
    """Scores [q, n] whose order is: the top K by (1 - lam) z(s) + lam z(f) over the K, then the others by s."""
    K = min(K, s.shape[1])
    top, rows = s.topk(K, 1)
    z = lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, unbiased=False, keepdim=True).clamp_min(1e-12)
    fused = (1 - lam) * z(top) + lam * z(f.gather(1, rows))
    return (s - 1000).scatter(1, rows, fused)


def hits(scores, relevant):
    """For every row of scores [q, n] the chance that one of relevant bool[q, n] is among the first 1, 5, 10, equal scores
    being in random order: f64[q, 3]."""
    best = scores.masked_fill(~relevant, -torch.inf).amax(1, keepdim=True)
    above = (scores > best).sum(1).double()
    tie = scores == best
    e, p = tie.sum(1).double(), (tie & relevant).sum(1).double()
    log_choose = lambda n, k: torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    out = []
    for k in KS:
        m = (k - above).clamp(min=0).minimum(e)
        # No relevant one among the m of e equals that come first.
        none = torch.where(m > e - p, torch.zeros_like(e), (log_choose((e - p).maximum(m), m) - log_choose(e, m)).exp())
        out.append(1 - none)
    return torch.stack(out, 1)


def per_image(v, i2t, t2i):
    """Both directions' hits, in percent, by image: [n, 6]; the mean of all is mR. i2t [n, m] over all captions, t2i [c, n]."""
    n, owner, column = len(v["g"]), v["owner"], v["column"]
    image = hits(i2t, owner == torch.arange(n)[:, None])
    own = torch.zeros(n, 3, dtype=torch.double)
    # Equal captions share their scores, and not their owner.
    relevant = torch.zeros(len(owner), n, dtype=torch.bool)
    relevant[torch.arange(len(owner)), owner] = True
    caption = torch.cat([hits(t2i[column[i : i + 512]], relevant[i : i + 512]) for i in range(0, len(owner), 512)])
    own.index_add_(0, owner, caption)
    return 100 * torch.cat([image, own / torch.bincount(owner, minlength=n)[:, None]], 1)


def recall_only(v):
    s = coarse(v)
    return per_image(v, s[:, v["column"]], s.T)


def with_rerank(v, f, K, lam):
    """The same after the rerank with the fine scores f [n, c]."""
    s, all_columns = coarse(v), v["column"]
    return per_image(v, reranked(s[:, all_columns], f[:, all_columns], K, lam), reranked(s.T, f.T, K, lam))


def interval(difference, seed=0, rounds=2000):
    """Mean of a per-image figure and its 95 % bootstrap interval over images."""
    random = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, len(difference), (rounds, len(difference)), generator=random)
    means = difference[rows].mean(1).sort().values
    return difference.mean().item(), means[int(0.025 * rounds)].item(), means[int(0.975 * rounds)].item()
