"""What people may do in the deployments app, one module per noun."""

from deployments.services.requests import request_deployment, resubmit, withdraw
from deployments.services.reviews import approve, comment, decide, reject, request_changes
from deployments.services.rollouts import deploy_request, retry_deployment, roll_back
from deployments.services.slots import create_slot
from deployments.services.successions import declare_successor, withdraw_successor
from deployments.services.upgrades import (
    cancel_upgrade,
    delete_upgrade,
    pause_upgrade,
    resume_upgrade,
    start_upgrade,
)

__all__ = [
    "approve",
    "cancel_upgrade",
    "comment",
    "create_slot",
    "decide",
    "declare_successor",
    "delete_upgrade",
    "deploy_request",
    "pause_upgrade",
    "reject",
    "request_changes",
    "request_deployment",
    "resubmit",
    "resume_upgrade",
    "retry_deployment",
    "roll_back",
    "start_upgrade",
    "withdraw",
    "withdraw_successor",
]
