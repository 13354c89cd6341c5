"""Make the first account, which also runs the installation. Everybody after that comes by invitation."""

import getpass
import secrets
import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from projects.domain.errors import Refused
from projects.services import accounts


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="")

    def handle(self, *args, email: str, name: str, **options) -> None:
        given = getpass.getpass("Password (empty: one is made for you): ") if sys.stdin.isatty() else ""
        password = given or secrets.token_urlsafe(12)
        try:
            validate_email(email)
            user = accounts.create_account(email=email, password=password, name=name, is_staff=True)
        except ValidationError as error:
            raise CommandError(f"{email} is no e-mail address.") from error
        except Refused as error:
            raise CommandError(error.message) from error
        if not given:
            self.stdout.write(f"Password, shown only now: {password}")
        self.stdout.write(f"Sign in as {user.email} and make a project.")
