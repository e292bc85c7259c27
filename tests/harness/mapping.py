"""Mapping files as text."""

import yaml


def mapping(name, rule, *urls, **router):
    """A file with one router and its service."""
    return yaml.safe_dump({
        "http": {
            "routers": {name: {"rule": rule, "service": name, **router}},
            "services": {name: {"loadBalancer": {"servers": [{"url": url} for url in urls]}}},
        }
    })


def keyed(name, key, *urls, **router):
    """The one that create-mapping writes."""
    return mapping(name, f"HeaderRegexp(`Authorization`, `^Bearer {key}$`)", *urls, **router)
