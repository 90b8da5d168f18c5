# Installs what the lock of this very commit names, by hash and from wheels alone, into a folder of its
# own. evalrunner itself runs from the checkout that the runner made of the pinned commit.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$RUNNER_TEMP/evalrunner-venv
case "${INPUT_EXTRAS:-}" in
  "") lock=core ;;
  all) lock=all ;;
  *) echo "::error::the input extras is neither empty nor 'all'"; exit 2 ;;
esac
python=$(command -v python || command -v python3)
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "::error::evalrunner needs Python 3.11 or newer; set the input python-version"; exit 2; }
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
  --only-binary :all: --require-hashes -r "$here/requirements/$lock.lock"
