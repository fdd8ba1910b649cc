"""Draws contact-sheet.jpg: where the default model saw what twelve sentences ask for, on the demo's scenes.

    python Models/contact_sheet.py .build/release/ftf demo Models/contact-sheet.jpg      (after make demo)
"""
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw

SENTENCES = ["a plane", "a baseball field", "a bridge over a wide river", "many cars parked in a parking lot",
             "a football field surrounded by a red track", "a pond", "white boats docked in a port", "a winding river",
             "white storage tanks", "white waves wash a sandy beach", "dense houses in a residential area", "farmland"]

ftf, demo, out = sys.argv[1:]
side, title = 224, 18
sheet = Image.new("RGB", (4 * side, 3 * (side + title)), "white")
draw = ImageDraw.Draw(sheet)
for i, sentence in enumerate(SENTENCES):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([ftf, "search", f"{demo}/index", "--text", sentence, "--top", "1", "--explain", folder], check=True, capture_output=True)
        picture = Image.open(f"{folder}/1.png").convert("RGB").resize((side, side))
    x, y = i % 4 * side, i // 4 * (side + title)
    draw.text((x + 4, y + 3), sentence, fill="black")
    sheet.paste(picture, (x, y + title))
sheet.save(out, quality=85)
