# make test: everything is built and tested, on a machine that has Swift, git and apt.
SWIFT ?= swift
SYSTEM := libomp-dev libjpeg-dev libpng-dev

.PHONY: test system

test: system
	$(SWIFT) build --build-tests -Xswiftc -warnings-as-errors
	$(SWIFT) test --skip-build --parallel

system:
	@sh Tests/system-packages.sh $(SYSTEM)
