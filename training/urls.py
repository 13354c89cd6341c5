"""Pages of training."""

from django.urls import path

from training.views import adapters, bases, pauses, rehearsals, runs, seen, tokens

urlpatterns = [
    path("bases/", bases.BaseList.as_view(), name="base-list"),
    path("bases/new/", bases.BaseRegister.as_view(), name="base-register"),
    path("bases/<int:pk>/", bases.BaseDetail.as_view(), name="base-detail"),
    path("bases/<int:pk>/status/", bases.BaseStatus.as_view(), name="base-status"),
    path("bases/<int:pk>/retry/", bases.BaseRetry.as_view(), name="base-retry"),
    path("bases/<int:pk>/delete/", bases.BaseDelete.as_view(), name="base-delete"),
    path("runs/", runs.RunList.as_view(), name="run-list"),
    path("runs/new/", runs.RunCreate.as_view(), name="run-create"),
    path("runs/projection/", runs.RunProjection.as_view(), name="run-projection"),
    path("runs/calibration/", rehearsals.Calibration.as_view(), name="calibration"),
    path("runs/<int:pk>/rehearse/", rehearsals.RunRehearse.as_view(), name="run-rehearse"),
    path("rehearsals/", rehearsals.RehearsalCreate.as_view(), name="rehearsal-create"),
    path("rehearsals/<int:pk>/", rehearsals.RehearsalDetail.as_view(), name="rehearsal-detail"),
    path("rehearsals/<int:pk>/status/", rehearsals.RehearsalStatus.as_view(), name="rehearsal-status"),
    path("rehearsals/<int:pk>/cancel/", rehearsals.RehearsalCancel.as_view(), name="rehearsal-cancel"),
    path("runs/<int:pk>/", runs.RunDetail.as_view(), name="run-detail"),
    path("runs/<int:pk>/status/", runs.RunStatus.as_view(), name="run-status"),
    path("runs/<int:pk>/start/", runs.RunStart.as_view(), name="run-start"),
    path("runs/<int:pk>/cancel/", runs.RunCancel.as_view(), name="run-cancel"),
    path("runs/<int:pk>/pause/", pauses.RunPause.as_view(), name="run-pause"),
    path("runs/<int:pk>/resume/", pauses.RunResume.as_view(), name="run-resume"),
    path("runs/<int:pk>/retry/", runs.RunRetry.as_view(), name="run-retry"),
    path("runs/<int:pk>/priority/", runs.RunPriority.as_view(), name="run-priority"),
    path("runs/<int:pk>/delete/", runs.RunDelete.as_view(), name="run-delete"),
    path("adapters/", adapters.AdapterList.as_view(), name="adapter-list"),
    path("adapters/<int:pk>/", adapters.AdapterDetail.as_view(), name="adapter-detail"),
    path("adapters/<int:pk>/download/", adapters.AdapterDownload.as_view(), name="adapter-download"),
    path("adapters/<int:pk>/delete/", adapters.AdapterDelete.as_view(), name="adapter-delete"),
    path("versions/<int:pk>/tokens/", tokens.VersionTokens.as_view(), name="version-tokens"),
    path("versions/<int:pk>/seen/", seen.VersionSeen.as_view(), name="version-seen"),
    path("versions/<int:pk>/seen/row/", seen.VersionSeenRow.as_view(), name="version-seen-row"),
    path("versions/<int:pk>/seen/drop/", seen.VersionSeenDrop.as_view(), name="version-seen-drop"),
]
