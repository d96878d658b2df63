#!/bin/bash
# All that the generator's page still needs, one step after the other, each one's output in runs/page_STEP.log.
# Stops at the first step that fails; page_steps.sh STEP starts at that step. About 20 minutes on two free cores.
cd "$(dirname "$0")/.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
first=${1:-opinion}
step() { name=$1; shift; [ -n "$first" ] && [ "$first" != "$name" ] && return; first=
  date > runs/page_$name.log; "$@" >> runs/page_$name.log 2>&1; rc=$?
  echo "rc $rc $(date)" >> runs/page_$name.log; [ $rc = 0 ] || exit 1; }
step opinion .venv/bin/python tools/opinion.py
step export .venv/bin/python tools/export_generator.py --measure
step brand .venv/bin/python tools/brand.py
step times .venv/bin/python tools/export_times.py
step execute .venv/bin/python tools/notebooks.py execute 17
step book make book
step unit .venv/bin/pytest -q -p no:cacheprovider tests/unit/test_export.py tests/unit/test_export_cpp.py tests/unit/test_tools.py tests/unit/test_house.py tests/book
step browser .venv/bin/pytest -q -p no:cacheprovider tests/browser/test_generator.py tests/browser/test_site.py
