"""The lower part of the dock widget: the model learns from corrections and labels further images, in the background."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from histobridge.errors import UserError
from histobridge_napari.jobs import Job, Outcome, apply_command, learn_command, progress_of
from histobridge_napari.review_panel import ReviewPanel, chosen, folder_field, told
from histobridge_napari.session import Session

MODEL = "the model: the folder that `histobridge label` wrote"
MOST_LINES = 500
FROM_FILES = 0.0
"""The pixel size that stands for that of the files."""
LEARN, APPLY = "The model has learned.", "The images are labelled: open their folder above to review them."
STOPPED = {
    LEARN: "Stopped: the model is as it was.",
    APPLY: "Stopped: the same command goes on from what is finished.",
}
ENDED = {
    Outcome.INCOMPLETE: "Something is to mend: see the last lines.",
    Outcome.FAILED: "It failed: see the last lines.",
}


class JobsPanel(QWidget):
    """Start `histobridge import --finetune` and `histobridge apply`, follow them, stop them.

    Parameters
    ----------
    review : ReviewPanel
        Whose hand-off and corrections the model learns from; what was painted is saved before.
    """

    def __init__(self, review: ReviewPanel):
        super().__init__()
        self.review, self.job, self._aim = review, Job(self), ""
        self.model, self.images, self.out = (folder_field() for _ in range(3))
        self.um_per_px = QDoubleSpinBox(decimals=4, singleStep=0.01, maximum=100, specialValueText="from the files")
        self.learn_button, self.apply_button = QPushButton("Learn from corrections"), QPushButton("Label these images")
        self.stop_button, self.bar, self.told = QPushButton("Stop"), QProgressBar(), QLabel(wordWrap=True)
        self.log = QPlainTextEdit(readOnly=True, maximumBlockCount=MOST_LINES, placeholderText="What the command says")
        self.learn_button.clicked.connect(lambda: self.learn())
        self.apply_button.clicked.connect(lambda: self.apply())
        self.stop_button.clicked.connect(self.job.stop)
        self.job.line.connect(self._show_line)
        self.job.ended.connect(self._show_end)
        review.opened.connect(self._suggest_model)
        self._lay_out()
        self._show_state()

    @told
    def learn(self) -> None:
        """Let the model learn from the corrections of the hand-off that is open."""
        if self.review.session is None:
            raise UserError("No hand-off is open: choose one above and press Open.")
        if self.review.save():
            session = self.review.session
            model = chosen(self.model, MODEL)
            self._start(LEARN, learn_command(session.handoff.folder, session.folder, model))

    @told
    def apply(self) -> None:
        """Label further images by the model."""
        model = chosen(self.model, MODEL)
        images, out = chosen(self.images, "a folder of images"), chosen(self.out, "a folder for their labels")
        size = self.um_per_px.value()
        self._start(APPLY, apply_command(model, images, out, None if size == FROM_FILES else size))

    def _start(self, aim: str, arguments: list[str]) -> None:
        self._aim = aim
        self.log.clear()
        self.bar.setRange(0, 0)  # busy, until a line says how much is done
        self.job.start(arguments)
        self._show_state(f"histobridge {arguments[0]} is at work ...")

    def _show_line(self, line: str) -> None:
        self.log.appendPlainText(line)
        if progress := progress_of(line):
            self.bar.setRange(0, progress[1])
            self.bar.setValue(progress[0])
        elif line.startswith("["):  # another step begins
            self.bar.setRange(0, 0)

    def _show_end(self, outcome: Outcome) -> None:
        ends = {**ENDED, Outcome.DONE: self._aim, Outcome.STOPPED: STOPPED[self._aim]}
        self._show_state(ends[outcome])

    def _show_state(self, text: str = "") -> None:
        running = self.job.running
        self.learn_button.setEnabled(not running)
        self.apply_button.setEnabled(not running)
        self.stop_button.setEnabled(running)
        self.bar.setVisible(running)
        self.told.setText(text)

    def _suggest_model(self, session: Session) -> None:
        """Name what `histobridge label` wrote, if the hand-off lies in it."""
        around = session.handoff.folder.resolve().parent
        if (around / "model").is_dir():
            self.model.value = around

    def _lay_out(self) -> None:
        everything, box = QVBoxLayout(self), QGroupBox("Learn, and label further images")
        inside, files, more, buttons = QVBoxLayout(box), QFormLayout(), QFormLayout(), QHBoxLayout()
        files.addRow("Model", self.model.native)
        more.addRow("Images", self.images.native)
        more.addRow("Labels to", self.out.native)
        more.addRow("µm/px", self.um_per_px)
        buttons.addWidget(self.bar)
        buttons.addWidget(self.stop_button)
        inside.addLayout(files)
        inside.addWidget(self.learn_button)
        inside.addLayout(more)
        inside.addWidget(self.apply_button)
        inside.addWidget(self.told)
        inside.addLayout(buttons)
        inside.addWidget(self.log)
        everything.addWidget(box)
