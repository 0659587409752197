#!/bin/sh
# Prints the path of the Python to make .venv with: the first one that is 3.11 or newer and can
# make environments. PYTHON=... names one instead. If there is none, says so and exits with 2.

probe='
import sys
if sys.version_info < (3, 11):
    sys.exit("is Python %d.%d.%d, which is too old" % sys.version_info[:3])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("is Python %d.%d without its venv module" % sys.version_info[:2])
sys.stdout.write(sys.executable)
'

# Sets $answer: the path of the Python called $1, or why it will not do.
try() {
    command -v "$1" >/dev/null || { answer="is not there"; return 1; }
    # -E -s: a PYTHONPATH or packages in the home must not decide what this Python is.
    answer=$("$1" -E -s -c "$probe" 2>&1 </dev/null) && return
    answer=$(printf '%s\n' "$answer" | tail -n 1)
    return 1
}

use() {
    printf '%s\n' "$answer"
    exit 0
}

help="Install Python 3.11 or newer (python.org; on Debian and Ubuntu the packages python3 and python3-venv),
or name the one to use: make PYTHON=/path/to/python"

if [ -n "$PYTHON" ]; then
    try "$PYTHON" && use
    printf '%s\n' "PYTHON=$PYTHON $answer." "$help" >&2
    exit 2
fi

found=
# First the Python of the environment in place, so that it changes only when it must; then the
# versions the book is tested with; a bare python3 may be newer than the pinned packages allow.
for name in .venv/bin/python python3.14 python3.13 python3.12 python3.11 python3 python; do
    try "$name" && use
    [ "$answer" = "is not there" ] || found="$found${found:+; }$name $answer"
done
printf '%s\n' "No Python that can build this book: ${found:-none was found}." "$help" >&2
exit 2
