"""A jitsud that is started by the original Jitsu's command line."""

import lab


class Original(lab.Daemon):
    """A jitsud whose configuration is its command line. Each service is a dictionary of keys."""

    def __init__(self, options, services, **more):
        super().__init__(zones=[], start=False, **more)
        self.command = [*options, "-l", str(self.dns_endpoint[1]), "-v", "--run-directory", self.run_directory,
                        "--persistdb", self.state_directory,
                        *(",".join(f"{key}={value}" for key, value in service.items()) for service in services)]
        self.settings["services"] = [{"name": service["dns"], "address": service["ip"]} for service in services]
