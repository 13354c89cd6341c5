"""Who may do what. The only place where roles meet permissions."""

from enum import StrEnum


class Permission(StrEnum):
    PROJECT_VIEW = "project.view"
    PROJECT_MANAGE = "project.manage"
    MEMBER_MANAGE = "member.manage"
    TOKEN_CREATE = "token.create"
    AUDIT_VIEW = "audit.view"
    DATASET_EDIT = "dataset.edit"
    DATASET_DELETE = "dataset.delete"
    DATASET_REVIEW = "dataset.review"
    DATASET_MERGE = "dataset.merge"
    BASE_REGISTER = "base.register"
    BASE_DECIDE = "base.decide"
    RUN_START = "run.start"
    RUN_CANCEL = "run.cancel"
    ADAPTER_IMPORT = "adapter.import"
    ADAPTER_DERIVE = "adapter.derive"
    ADAPTER_DELETE = "adapter.delete"
    EVALUATION_START = "evaluation.start"
    DEPLOYMENT_REQUEST = "deployment.request"
    DEPLOYMENT_COMMENT = "deployment.comment"
    DEPLOYMENT_DECIDE = "deployment.decide"
    DEPLOYMENT_DEPLOY = "deployment.deploy"
    SLOT_MANAGE = "slot.manage"
    BUDGET_APPROVE = "budget.approve"
    LEDGER_CORRECT = "ledger.correct"
    LINEAGE_WITHDRAW = "lineage.withdraw"
    # Where a project's facts go is for its owners; engineers look after what receives them.
    WEBHOOK_USE = "webhook.use"
    WEBHOOK_MANAGE = "webhook.manage"


class Role(StrEnum):
    OWNER = "owner"
    ENGINEER = "engineer"
    REVIEWER = "reviewer"
    VIEWER = "viewer"


P = Permission
VIEWER = frozenset({P.PROJECT_VIEW, P.TOKEN_CREATE})
REVIEWER = VIEWER | {
    P.AUDIT_VIEW,
    P.DATASET_REVIEW,
    P.DATASET_MERGE,
    P.DEPLOYMENT_COMMENT,
    P.DEPLOYMENT_DECIDE,
    P.DEPLOYMENT_DEPLOY,
    P.LINEAGE_WITHDRAW,
}
ENGINEER = VIEWER | {
    P.AUDIT_VIEW,
    P.DATASET_EDIT,
    P.DATASET_DELETE,
    P.DATASET_REVIEW,
    P.DATASET_MERGE,
    P.BASE_REGISTER,
    P.BASE_DECIDE,
    P.RUN_START,
    P.RUN_CANCEL,
    P.ADAPTER_IMPORT,
    P.ADAPTER_DERIVE,
    P.ADAPTER_DELETE,
    P.EVALUATION_START,
    P.DEPLOYMENT_REQUEST,
    P.DEPLOYMENT_COMMENT,
    P.DEPLOYMENT_DEPLOY,
    P.WEBHOOK_USE,
    P.LINEAGE_WITHDRAW,
}
GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ENGINEER: frozenset(ENGINEER),
    Role.REVIEWER: frozenset(REVIEWER),
    Role.VIEWER: VIEWER,
}

# What needs a person at the keyboard: a token, whoever made it, never does these.
PERSON_ONLY = frozenset(
    {
        P.DATASET_MERGE,
        P.DEPLOYMENT_DECIDE,
        P.MEMBER_MANAGE,
        P.PROJECT_MANAGE,
        P.TOKEN_CREATE,
        P.BUDGET_APPROVE,
        P.LEDGER_CORRECT,
    }
)
