"""Accounts: signing in within limits, and new people."""

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from projects.domain.errors import Invalid
from projects.models import User
from projects.services import throttling
from projects.services.throttling import Limit

# A person mistypes a password a few times; a program does not. An address may be a whole office behind one router.
PER_ACCOUNT = Limit("sign-in of an account from an address", count=8, seconds=300)
PER_ADDRESS = Limit("sign-ins from an address", count=60, seconds=300)
NEW_ACCOUNTS = Limit("new accounts from an address", count=30, seconds=3600)


def count_sign_in(email: str, address: str) -> None:
    """Called before a password is looked at; refuses with 429 when there were too many attempts."""
    throttling.count(PER_ADDRESS, address)
    throttling.count(PER_ACCOUNT, _pair(email, address))


def signed_in(email: str, address: str) -> None:
    throttling.forget(PER_ACCOUNT, _pair(email, address))
    throttling.take_back(PER_ADDRESS, address)


def _pair(email: str, address: str) -> str:
    return f"{email.strip().lower()}\n{address}"


def count_new_account(address: str) -> None:
    """Called before an account is made, outside its transaction: a refusal must not undo the count."""
    throttling.count(NEW_ACCOUNTS, address)


@transaction.atomic
def create_account(*, email: str, password: str, name: str = "", is_staff: bool = False) -> User:
    """A new person. The address must be free, however it is written, and the password good enough.

    Staff run the installation; no door of the web makes them.
    """
    user = User(email=User.objects.normalize_email(email), name=name)
    _check_password(password, user)
    taken = Invalid(
        "There is an account with this address already. Sign in with it instead.", code="email_taken", field="email"
    )
    if User.objects.filter(email__iexact=email).exists():
        raise taken
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, name=name, is_staff=is_staff)
    except IntegrityError as error:
        raise taken from error


def _check_password(password: str, user: User) -> None:
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), code="weak_password", field="password") from error
