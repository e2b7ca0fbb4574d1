#!/usr/bin/env bash
# Build an sdist and from it a wheel, install that into an environment of its own, and use it in an empty folder, as somebody
# without a checkout does.
# The other packages come from the environment of the checkout, so that nothing is downloaded twice.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python="$root/.venv/bin/python"

"$python" -m build --sdist --outdir "$work" "$root" >/dev/null
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work" "$work"/histobridge-*.tar.gz
"$python" -m venv "$work/env"
site="$("$work/env/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')"
"$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' >"$site/packages_of_the_checkout.pth"
ln -s "$root/.venv/share" "$work/env/share"  # templates and kernels of Jupyter
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$work"/histobridge-*.whl

mkdir "$work/empty"
cd "$work/empty"
export OMP_NUM_THREADS=1 PATH="$work/env/bin:$PATH"
unset PYTHONPATH
python -c 'import histobridge, sys; assert sys.prefix in histobridge.__file__, histobridge.__file__'

histobridge study --profile smoke --pair phantom-sem --fold 0
test -f runs/smoke/report/05_report.html
histobridge data phantom-tem
histobridge fetch phantom-tem
histobridge notebooks lessons
test -f lessons/00_tour.ipynb
python - <<'PY'
from histobridge.io.images import write_image
from histobridge.phantom import phantom

for seed in range(8):
    write_image(f"images/section{seed}.png", phantom("sem", seed, (256, 256))[0])
write_image("more/section9.png", phantom("sem", 9, (256, 256))[0])
PY
histobridge label images --um-per-px 0.1 --out labels --source phantom --profile smoke --yes
if command -v Xvfb >/dev/null; then  # a session in napari does it
    python "$root/tests/napari_session.py" labels more
else
    echo "no virtual display: napari is left out"
    histobridge apply labels more --um-per-px 0.1 --out more_labels
fi
test -f more_labels/report.html
histobridge export labels --to bioimageio
test -f labels.bioimageio.zip
mask="$(find labels/handoff -name '*_seg-axonmyelin.png' | head -1)"
histobridge measure "$mask" --um-per-px 0.1
mkdir corrected
cp "$mask" corrected/
histobridge import labels/handoff corrected --to edits
echo "The wheel works in an empty folder."
