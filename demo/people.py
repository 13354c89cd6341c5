"""The demo's four people, one for each role, and their project."""

import secrets
from dataclasses import dataclass

from projects.domain.permissions import Role
from projects.models import Membership, Project, User
from projects.services import invitations, projects

NAMES = {
    Role.OWNER: "Olive Owner",
    Role.ENGINEER: "Emil Engineer",
    Role.REVIEWER: "Rita Reviewer",
    Role.VIEWER: "Vera Viewer",
}
SLUG = "support-desk"


@dataclass(frozen=True)
class People:
    owner: User
    engineer: User
    reviewer: User
    viewer: User
    passwords: dict[str, str]


def is_there() -> bool:
    return Project.objects.filter(slug=SLUG).exists()


def settle() -> tuple[Project, People]:
    """Make the accounts with random passwords, the project, and the memberships."""
    users, passwords = {}, {}
    for role, name in NAMES.items():
        email, password = f"{role.value}@luthier.example", secrets.token_urlsafe(9)
        user, _ = User.objects.get_or_create(email=email, defaults={"name": name})
        user.set_password(password)
        user.save()
        users[role], passwords[email] = user, password
    owner = users[Role.OWNER]
    project = projects.create_project(by=owner, name="Support desk", description="Routes help-desk tickets.")
    for role, user in users.items():
        if user != owner:
            _, secret = invitations.invite_member(project, by=owner, role=role, email=user.email)
            invitations.accept_invitation(secret, by=user)
    assert Membership.objects.filter(project=project).count() == len(Role)
    project = projects.change_settings(project, by=owner, monthly_budget="25.00", cpu_hour_price="0.40")
    return project, People(
        owner=owner,
        engineer=users[Role.ENGINEER],
        reviewer=users[Role.REVIEWER],
        viewer=users[Role.VIEWER],
        passwords=passwords,
    )
