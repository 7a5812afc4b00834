// The command: arguments and environment in, exit code out. The only file that knows process.argv, signals and exit codes.
import { readFileSync } from 'node:fs';
import { loadEngine } from './engine.js';
import { type Address, formatAddress } from './listening/addresses.js';
import { createLog, type Log, rateLimited } from './observe/log.js';
import { onOneLine } from './observe/visible-controls.js';
import { readOptions } from './options/reading.js';
import type { Options } from './options/table.js';
import { type Server, startServer } from './server.js';
import { StartError } from './start-error.js';

async function main(): Promise<void> {
	const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
	const options = readOptions(process.argv.slice(2), process.env, `${version} (${engineText()}, Node ${process.version})`);
	if ('text' in options) {
		process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
			// A reader such as head wants the beginning only, and closes the pipe.
			if (code === 'EPIPE') return;
			complain(`standard output cannot be written (${code}).`);
			process.exitCode = 1;
		});
		process.stdout.write(options.text);
		return;
	}
	const { log, reopen, finish } = createLog({
		level: options.logLevel,
		format: options.logFormat,
		file: options.log,
		isTerminal: process.stdout.isTTY === true,
		onUnwritable: rateLimited(60_000, (_, code: string) => complain(`the log cannot be written (${code}); the server goes on`)),
	});
	process.on('exit', finish);
	const server = await startServer(options, log);
	// Before the start line, because a supervisor may send a signal as soon as it reads that line.
	handleSignals(server, log, reopen, options.log !== undefined);
	logStart(log, version, options, server);
}

function logStart(log: Log, version: string, options: Options, server: Server): void {
	const addr = formatAddress(server.address);
	const mport = server.operatorAddress ? formatAddress(server.operatorAddress) : 'off';
	const page = pageUrl(server.address, options.tlsCert === undefined ? 'http' : 'https');
	const hint = page === undefined ? '' : `; open ${page}`;
	const { connectionsMax, engineVersion } = server;
	log.info(
		{ event: 'start', version, engine: engineVersion, addr, mport, page, connectionsMax },
		`pathcast ${version} on uWebSockets.js ${engineVersion} listens on ${addr}, operator on ${mport}${hint}`,
	);
}

/** The engine that would serve, for --version, which works where none does. */
function engineText(): string {
	try {
		return `uWebSockets.js ${loadEngine().version}`;
	} catch (error) {
		if (error instanceof StartError) return 'no engine loads here';
		throw error;
	}
}

function pageUrl(address: Address, scheme: string): string | undefined {
	if ('path' in address) return undefined;
	const isLocal = ['::', '0.0.0.0', '127.0.0.1', '::1'].includes(address.host);
	return `${scheme}://${isLocal ? `localhost:${address.port}` : formatAddress(address)}/`;
}

function handleSignals(server: Server, log: Log, reopenLog: () => string | undefined, hasLogFile: boolean): void {
	const reopened = hasLogFile ? 'the log file was opened again' : 'there is no log file to open again (--log)';
	let isStopping = false;
	// On a terminal, SIGHUP says that the terminal has gone.
	const isHangup = process.stdout.isTTY === true;
	for (const signal of ['SIGTERM', 'SIGINT', ...(isHangup ? (['SIGHUP'] as const) : [])] as const) {
		process.on(signal, () => {
			if (isStopping) process.exit(1);
			isStopping = true;
			log.info({ event: 'stop', signal }, `${signal}: stopping; a second signal exits at once`);
			// When the last connection is gone, the process ends by itself, with 0.
			void server.stop();
		});
	}
	if (isHangup) return;
	// Without a log file there is nothing to open again, but the signal must not end the process.
	process.on('SIGHUP', () => {
		const reason = reopenLog();
		if (reason === undefined) log.info({ event: 'reopen' }, `SIGHUP: ${reopened}`);
		else complain(`${reason}. The log goes on in the file that was open; send SIGHUP again.`);
	});
}

function complain(line: string): void {
	process.stderr.write(`pathcast: ${onOneLine(line)}\n`);
}

// Standard error may be on the full disk that it is to tell of, or its reader may be gone. Nothing can be done then.
process.stderr.on('error', () => {});

main().catch((error: unknown) => {
	if (!(error instanceof StartError)) throw error;
	complain(error.message);
	process.exitCode = 1;
});
