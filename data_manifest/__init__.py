"""The manifests of all datasets, one YAML file each; installed as `histobridge.manifests`."""
