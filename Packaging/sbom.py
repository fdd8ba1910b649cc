"""What the packages hold, as SPDX 2.3: python3 sbom.py VERSION SECONDS FILE. Run from the root of the repository, after a build."""
import hashlib
import json
import os
import re
import subprocess
import sys
import time

version, seconds, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def licence(folder):
    text = "".join(open(os.path.join(folder, f), encoding="utf-8", errors="replace").read() for f in sorted(os.listdir(folder)) if f.startswith("LICENSE"))
    if "Apache License" in text: return "Apache-2.0"
    return "MIT" if "Permission is hereby granted, free of charge" in text else "NOASSERTION"


def package(name, version, url, declared, comment=""):
    entry = {"SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name), "name": name, "versionInfo": version, "downloadLocation": url or "NOASSERTION",
             "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": declared, "copyrightText": "NOASSERTION"}
    return entry | ({"comment": comment} if comment else {})


pins = json.load(open("Package.resolved"))["pins"]
known = {pin["identity"]: pin for pin in pins}
found = []
for name in sorted(os.listdir(".build/checkouts")):
    if "docc" in name: continue  # makes the documentation, and is in nothing
    pin = known.get(name.lower())
    if pin is None: continue
    found.append(package(name, pin["state"].get("version", "unknown"), pin["location"], licence(f".build/checkouts/{name}")))
swift = re.search(r"Swift version (\S+)", subprocess.run(["swiftc", "--version"], capture_output=True, text=True).stdout)[1]
found.append(package("swift-runtime", swift, "https://github.com/swiftlang/swift", "Apache-2.0 WITH Swift-exception", "with Foundation, and ICU in it"))
for name, where, declared, comment in (
    ("boringssl", "swift-nio-ssl", "OpenSSL AND ISC AND MIT", "a copy in swift-nio-ssl"),
    ("llhttp", "swift-nio", "MIT", "a copy in swift-nio"),
):
    if os.path.exists(f".build/checkouts/{where}"): found.append(package(name, "NOASSERTION", "", declared, comment))
own = package("fastthenfine", version, "", "Apache-2.0")
relations = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": own["SPDXID"]}]
relations += [{"spdxElementId": own["SPDXID"], "relationshipType": "STATIC_LINK", "relatedSpdxElement": p["SPDXID"]} for p in found]
digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
document = {
    "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"fastthenfine-{version}",
    "documentNamespace": f"https://spdx.org/spdxdocs/fastthenfine-{version}-{digest[:32]}",
    "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)), "creators": ["Organization: FastThenFine"]},
    "packages": [own, *found], "relationships": relations,
}
with open(out, "w") as file: json.dump(document, file, indent=1)
