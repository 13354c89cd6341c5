"""Send what is due, then end. Started by a worker, not by hand; by hand it does no harm."""

from django.core.management.base import BaseCommand

from projects import courier


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []  # every page would be loaded first

    def handle(self, *args, **options) -> None:
        courier.run()
