# `make` lists what there is. Every target makes .venv first and needs only Python 3.11+, make and git.
# Kept to what GNU make 3.81 understands, which is the make of macOS.

PY = .venv/bin/python
LOCKED = $(PY) tools/locked.py
PORT = 8000
FOLDER = chapters
SET =
PAPER = A4
export PYTHON

# What a user has set up for other work must not change what the book computes or how it looks.
unexport PYTHONPATH PYTHONHOME PYTHONWARNINGS PYTHONSTARTUP VIRTUAL_ENV
unexport PYTEST_ADDOPTS PYTEST_PLUGINS
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT
export PIP_USER = 0
export PYTHONNOUSERSITE = 1
export PYTHONUTF8 = 1
# The plain C locale cannot spell every folder's name; left alone, Python takes C.UTF-8 instead.
ifneq (,$(filter C POSIX,$(LC_ALL)))
unexport LC_ALL
endif
export JUPYTER_PREFER_ENV_PATH = 1

help:
	@echo "make book        build the book into _build/html"
	@echo "make serve       build it and serve it on http://127.0.0.1:$(PORT) (PORT=... for another)"
	@echo "make pdf         print it into one file, _build/gradients.pdf (needs Chromium; PAPER=Letter for another paper)"
	@echo "make lab         open the notebooks in JupyterLab (FOLDER=exercises/release: the problem sets)"
	@echo "make test        everything: code style, the book, the package, every notebook, the site"
	@echo "make release     make the students' versions of the problem sets (SET=... for one)"
	@echo "make grade       grade a class: SET=... FROM=a folder of submissions OUT=a folder"
	@echo "make venv        only install: what all of these need, into .venv"
	@echo "make lint        the code style alone"
	@echo "make notebooks   run the notebooks, store their outputs and renew the ledger of claims"
	@echo "make colophon    check the built site, and write what its colophon shows"
	@echo "make changes     show what changed in the outputs since the last commit (SINCE=... for another)"
	@echo "make lock        renew constraints.txt after a change of requirements.txt"
	@echo "make update      bring all that is pinned to its newest version, and show what that changes"
	@echo "make reproduce   run the book as on other processors, with other versions …, and compare (ROWS=... for some)"
	@echo "make fresh       book and test a new clone, with an empty home, and offline from then on"
	@echo "make clean       remove what was built and installed"

book: site
	@echo "The book is built. Open _build/html/index.html, or run: make serve"

# A notebook, or a file of tests, stays whole in one process. The longest of them bounds what more processes can save.
# Without the reorder, files begin in the order that conftest.py gives them.
PYTEST = $(PY) -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

# Every check runs, also after one has failed, so that one run shows all there is to mend.
test: venv
	@test -w . || { echo "The tests cannot run here, because this folder cannot be written."; \
	    echo "Copy it to a folder of your own, and run the same command there."; exit 1; }
	@failed=; \
	$(MAKE) --no-print-directory lint || failed="$$failed 'make lint'"; \
	$(LOCKED) $(PY) tools/build_site.py --fresh || failed="$$failed 'make book'"; \
	echo "Running the tests, and every notebook …"; \
	$(LOCKED) $(PYTEST) || failed="$$failed '$(PYTEST)'"; \
	if [ -n "$$failed" ]; then \
	    echo "Failed, with the reasons above. One at a time:$$failed"; exit 1; \
	fi; \
	echo "All checks passed."

notebooks: venv
	@$(LOCKED) $(PY) -m tools.live
	@$(LOCKED) $(PY) -m tools.notebooks
	@$(LOCKED) $(PY) -m tools.ledger

# What was found is on a page of the site itself, so that page is built again with it.
colophon: site
	@$(LOCKED) $(PY) -m tools.site_check --store
	@$(LOCKED) $(PY) tools/build_site.py

serve: book
	@$(PY) -m tools.serve $(PORT)

lab: venv
	@$(PY) -m jupyterlab --notebook-dir="$(FOLDER)"

pdf: site
	@$(LOCKED) $(PY) -m tools.pdf $(PAPER)

# The students' versions of the problem sets, or of one: make release SET=ps1_backprop
release: venv
	@$(PY) -m grading release $(SET)

# A class: make grade SET=ps1_backprop FROM=submissions OUT=graded
grade: venv
	@test -n "$(SET)" -a -n "$(FROM)" || { \
	    echo "Say what to grade: make grade SET=ps1_backprop FROM=submissions OUT=graded"; exit 1; }
	@$(PY) -m grading grade $(SET) "$(FROM)" --out "$(or $(OUT),graded/$(SET))" \
	    $(if $(SECRET),--secret "$(SECRET)")

lint: venv
	@echo "Checking the code style …"
	@$(PY) -m ruff check --no-cache --quiet && $(PY) -m ruff format --no-cache --check --quiet || \
	    { echo "Many of these mend themselves: $(PY) -m ruff check --fix; $(PY) -m ruff format"; exit 1; }

# A page with every output that differs from the last commit, or another: make changes SINCE=v1.0
changes: venv
	@$(PY) -m tools.changes $(SINCE)

lock: venv
	@$(LOCKED) $(PY) -m tools.lock

# Not under the lock, because each make that it calls takes it. With `make -n`, a line that says MAKE itself would run.
MAKE_AGAIN = $(MAKE)
update: venv
	@$(PY) -m tools.update "$(MAKE_AGAIN)"

# Every cell and figure in the surroundings that tools/surroundings.py lists: make reproduce ROWS="Haswell-1 oldest"
reproduce: venv
	@$(LOCKED) $(PY) -m tools.reproduce $(ROWS)

fresh:
	@python=$$(sh tools/python.sh) && "$$python" tools/fresh.py

clean:
	rm -rf .venv _build .pytest_cache .ruff_cache .hypothesis *.egg-info

site: venv
	@$(LOCKED) $(PY) tools/build_site.py

venv:
	@python=$$(sh tools/python.sh) && "$$python" tools/locked.py "$$python" tools/venv.py

.PHONY: help book test notebooks colophon serve pdf lab release grade lint changes lock update reproduce fresh clean \
    site venv
