"""Pages on stars that ``speclearn predict --card`` writes."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starsmith.learners import LabelEstimate, Predictor
    from starsmith.learners.prediction.matching import Matched
    from starsmith.learners.prediction.posterior_draws import PosteriorDraws

__all__ = ["write_cards"]

N_SIMILAR = 5  # stars on a page


def write_cards(
    predictor: "Predictor",
    stars: "list[tuple[str, Matched, tuple[LabelEstimate, ...], PosteriorDraws | None]]",
    path: Path,
    among: Path | None,
) -> None:
    """Write a page a star: at ``path`` the first, at its name with a number every other."""
    from starsmith.learners.evaluation.star_card import StarCard, save_card

    found = _Neighbours(predictor, among) if among else None
    for number, (name, matched, estimates, drawn) in enumerate(stars):
        rows = found.of(matched) if found else ()
        card = StarCard(name, matched.seen, estimates, matched.done, drawn, rows)
        own = path.with_stem(f"{path.stem}-{number + 1}") if number else path
        save_card(card, own)


class _Neighbours:
    """Stars of a data set's test split that resemble one, by the vectors of a model."""

    def __init__(self, predictor: "Predictor", data: Path):
        from starsmith.learners.embedding.doors import door_of
        from starsmith.learners.prediction.matching import predictor_of
        from starsmith.simulator.generation.recorded import open_recorded

        self.split = open_recorded(data).split("test")
        self.vectors = door_of(predictor_of(predictor, self.split)).of_split(self.split)

    def of(self, matched: "Matched") -> list[dict]:
        """Rows of the most similar, with their labels."""
        from starsmith.learners.embedding.doors import door_of
        from starsmith.learners.embedding.neighbours import similar_to

        own = door_of(matched.predictor).vectors(matched.seen[None])
        found = similar_to(own, self.vectors, N_SIMILAR)
        names = self.split.header.label_names
        return [
            {"row": row, "similarity": round(cosine, 4)}
            | {name: float(f"{self.split.label(name)[row]:.5g}") for name in names}
            for row, cosine in zip(
                found.rows[0].tolist(), found.similarity[0].tolist(), strict=True
            )
        ]
