"""A folder of mappings that changes all the time."""

import itertools
import json


class Folder:
    def __init__(self, path, servers):
        self.path, self.servers, self.rounds = path, servers, itertools.count()
        path.mkdir()
        self.put("services.yml", {"services": {
            "both": {"loadBalancer": {"strategy": "prefix", "servers": [{"url": url} for url in servers]}},
            "dead": {"loadBalancer": {"servers": [{"url": "http://127.0.0.1:1"}]}},
        }})
        self.put("keys.yml", {
            "routers": {
                "steady": {"rule": "Key(`soak-steady`)", "service": "both"},
                "dead": {"rule": "Key(`soak-dead`)", "service": "dead"},
                "counted": {"rule": "Key(`soak-counted`)", "service": "both", "middlewares": ["tokens"]},
                "limited": {"rule": "Key(`soak-limited`)", "service": "both", "middlewares": ["rate"]},
            },
            "middlewares": {
                "tokens": {"tokenLimit": {"amount": 10**12, "period": "24h", "count": "total"}},
                "rate": {"rateLimit": {"average": 1, "period": "1s", "burst": 1}},
            },
        })

    def put(self, name, http):
        """JSON is YAML."""
        self.write(name, json.dumps({"http": http}))

    def write(self, name, text):
        unfinished = self.path / f".{name}.unfinished"
        unfinished.write_text(text)
        unfinished.rename(self.path / name)

    def change(self):
        """One more change: keys that come and go, each with limits of its own, and now and then a file that is wrong."""
        number = next(self.rounds)
        keys = [f"soak-{number}-{n}" for n in range(20)]
        self.put(f"coming-{number % 5}.yml", {
            "routers": {key: {"rule": f"Key(`{key}`)", "service": "both", "middlewares": [f"of-{key}"]} for key in keys},
            "middlewares": {f"of-{key}": {"rateLimit": {"average": 100, "period": "1s", "burst": 100}} for key in keys},
        })
        if number % 7 == 0:
            self.write("bad.yml", "http: {routers: [\n" * (1 + number % 3))
        elif number % 7 == 3:
            (self.path / "bad.yml").unlink(missing_ok=True)
        return keys[0]
