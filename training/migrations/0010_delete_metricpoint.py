from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("training", "0009_points_to_chunks")]
    operations = [migrations.DeleteModel(name="MetricPoint")]
