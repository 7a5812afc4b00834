#!/usr/bin/env node
// The command: arguments in, exit code out. The only file that knows process.argv, signals and exit codes.
import { readFileSync } from 'node:fs';
import { formatAddress } from './operations/addresses.js';
import { createLog } from './operations/log.js';
import { readOptions } from './options.js';
import { startServer } from './server.js';
import { StartError } from './start-error.js';

async function main(): Promise<void> {
	const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
	const options = readOptions(process.argv.slice(2), version);
	if ('text' in options) {
		process.stdout.write(options.text);
		return;
	}
	const log = createLog(options.logLevel);
	const server = await startServer(options, log);
	const addr = formatAddress(server.address);
	const mport = server.operatorAddress ? formatAddress(server.operatorAddress) : 'off';
	const page = `http://${isReachedAsLocalhost(server.address.host) ? `localhost:${server.address.port}` : addr}/`;
	log.info(
		{ event: 'start', version, addr, mport, page },
		`pathcast ${version} listens on ${addr}, operator on ${mport}; open ${page}`,
	);
	for (const signal of ['SIGTERM', 'SIGINT'] as const) {
		process.once(signal, () => {
			log.info({ event: 'stop', signal }, `${signal}: stopping`);
			void server.stop();
		});
	}
}

function isReachedAsLocalhost(host: string): boolean {
	return host === '::' || host === '0.0.0.0' || host === '127.0.0.1' || host === '::1';
}

main().catch((error: unknown) => {
	if (!(error instanceof StartError)) throw error;
	process.stderr.write(`pathcast: ${error.message}\n`);
	process.exitCode = 1;
});
