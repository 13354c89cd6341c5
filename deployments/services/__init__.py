"""What people may do in the deployments app, one module per noun."""

from deployments.services.requests import request_deployment, resubmit, withdraw
from deployments.services.reviews import approve, comment, decide, reject, request_changes
from deployments.services.rollouts import deploy_request, retry_deployment, roll_back
from deployments.services.slots import create_slot

__all__ = [
    "approve",
    "comment",
    "create_slot",
    "decide",
    "deploy_request",
    "reject",
    "request_changes",
    "request_deployment",
    "resubmit",
    "retry_deployment",
    "roll_back",
    "withdraw",
]
