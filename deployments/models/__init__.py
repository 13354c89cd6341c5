"""May it ship? Slots, requests, reviews and deployments; and upgrades of adapters to new versions of their base."""

from deployments.models.reviews import REQUEST_STATES, Deployment, DeploymentRequest, Review, Slot, as_person
from deployments.models.upgrades import Succession, Upgrade, UpgradeItem

__all__ = [
    "REQUEST_STATES",
    "Deployment",
    "DeploymentRequest",
    "Review",
    "Slot",
    "Succession",
    "Upgrade",
    "UpgradeItem",
    "as_person",
]
