from django.db import migrations


def forget(apps, schema_editor):
    """Counts are worked out again when somebody asks: the old ones knew one limit of length each."""
    apps.get_model("training", "TokenProfile").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("training", "0001_initial")]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
