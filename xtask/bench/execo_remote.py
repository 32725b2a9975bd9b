"""execo doing what a row of the benchmark does: execo_remote.py CONNECTOR COUNT COMMAND."""
import sys

import execo

connector, count, command = sys.argv[1], int(sys.argv[2]), sys.argv[3]
execo.logger.setLevel("ERROR")
hosts = ["n%d" % number for number in range(1, count + 1)]
action = execo.Remote(command, hosts, connection_params={"ssh": connector}).run()
sys.exit(0 if action.ok else 1)
