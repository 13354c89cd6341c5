"""Pages outside any project: signing in, one's projects, invitations, health."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from projects.views import accounts, health, invitations, notifications, projects, workers


class Favicon(RedirectView):
    """Browsers ask for /favicon.ico whatever the page says."""

    def get_redirect_url(self, *args, **kwargs) -> str:
        return static("favicon.svg")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="project-list"), name="home"),
    path("sign-in/", accounts.SignIn.as_view(), name="sign-in"),
    path("sign-out/", accounts.SignOut.as_view(), name="sign-out"),
    path("sign-up/", accounts.SignUp.as_view(), name="sign-up"),
    path("password/", accounts.PasswordChange.as_view(), name="password-change"),
    path("invitations/<str:secret>/", invitations.InvitationAccept.as_view(), name="invitation-accept"),
    path("unsubscribe/<str:token>/", notifications.Unsubscribe.as_view(), name="unsubscribe"),
    path("projects/", projects.ProjectList.as_view(), name="project-list"),
    path("projects/new/", projects.ProjectCreate.as_view(), name="project-create"),
    path("workers/", workers.WorkerList.as_view(), name="worker-list"),
    path("workers/status/", workers.WorkerStatus.as_view(), name="worker-status"),
    path("workers/<int:pk>/drain/", workers.HostDrain.as_view(), name="host-drain"),
    path("workers/<int:pk>/resume/", workers.HostResume.as_view(), name="host-resume"),
    path("workers/<int:pk>/forget/", workers.HostForget.as_view(), name="host-forget"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("favicon.ico", Favicon.as_view(), name="favicon"),
]
