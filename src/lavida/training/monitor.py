"""What a person sees of a training: losses, held-out AUC, pictures; and the best model so far."""

from statistics import fmean

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from lavida.console import complain
from lavida.detector import Detector
from lavida.training.held_out import HeldOutTest
from lavida.training.optimisation import outside_forward
from lavida.training.pictures import draw_finding
from lavida.training.recipe import Recipe
from lavida.training.run_folder import BEST, RunFolder
from lavida.training.saving import save_model


class Monitor:
    """Logs to the run's folder and to TensorBoard, and measures the model every `train.evaluate_every` steps.

    Args:
        accelerator: has prepared `model`.
        model: what is trained.
        folder: of the run, entered.
        recipe: of the run.
        test: what the model is measured on, or None.
        first: steps that are done; later ones in an earlier log are hidden from TensorBoard.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        folder: RunFolder,
        recipe: Recipe,
        *,
        test: HeldOutTest | None,
        first: int,
    ):
        self._accelerator, self._model, self._folder = accelerator, model, folder
        self._opt, self._test = recipe.train, test
        if first < recipe.train.steps:
            accelerator.init_trackers("log", init_kwargs={"tensorboard": {"purge_step": first + 1}})

    def after(self, step: int, values: dict[str, float]) -> None:
        """Called with the number of steps done and the last one's values, before its checkpoint is written."""
        if step % self._opt.log_every == 0:
            self._folder.log(step, values)
        if self._test is not None and step % self._opt.evaluate_every == 0:
            self._evaluate(step, self._test)

    def _evaluate(self, step: int, test: HeldOutTest) -> None:
        """All processes measure the same, as a sharded model needs all of them to answer."""
        accelerator = self._accelerator
        detector = Detector(accelerator.unwrap_model(self._model), name=f"step {step}", device=accelerator.device)
        with outside_forward(detector.model):
            aucs, findings = test.aucs(detector), test.findings(detector)
        self._model.train()
        if not aucs:
            return
        auc = fmean(aucs.values())
        best = self._main_says(auc > self._folder.best_auc())
        if best:
            save_model(accelerator, self._model, self._folder.root / BEST)
        self._folder.log_evaluation(step, {"auc": auc, "sets": aucs})
        accelerator.log({"held-out/auc": auc} | {f"held-out/{name}": each for name, each in aucs.items()}, step=step)
        self._show(step, [draw_finding(finding) for finding in findings])
        if accelerator.is_main_process:
            note = ", the best so far" if best else ""
            complain(f"step {step} of {self._opt.steps}: held-out AUC {auc:.3f}{note}")

    def _main_says(self, yes: bool) -> bool:
        """What the main process thinks: the others may not see the log, and rounding may differ."""
        vote = torch.tensor(float(yes and self._accelerator.is_main_process), device=self._accelerator.device)
        return bool(self._accelerator.reduce(vote, "sum") > 0)

    def _show(self, step: int, pictures: list[np.ndarray]) -> None:
        if self._accelerator.trackers and self._accelerator.is_main_process:
            writer = self._accelerator.get_tracker("tensorboard", unwrap=True)
            for number, picture in enumerate(pictures):
                writer.add_image(f"held-out/picture-{number}", picture, step, dataformats="HWC")
            writer.flush()
