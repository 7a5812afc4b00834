// Starts nginx with a file of deploy/nginx, included as from /etc/nginx/conf.d.
import assert from 'node:assert/strict';
import { constants, existsSync, writeFileSync } from 'node:fs';
import { type Command, runProgram } from '../../support/command.js';
import { freePort } from '../../support/free-port.js';
import type { Owner } from '../../support/owner.js';
import { needs } from '../../support/requirement.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { certPath, keyPath } from '../../support/tls.js';
import { deployed, type Places } from './deployed.js';
import type { Front } from './front.js';
import type { Ports } from './nodes.js';

const nginxPath = '/usr/sbin/nginx';
const luaPath = '/usr/lib/nginx/modules/ngx_http_lua_module.so';
export const needsNginx = needs('nginx', nginxPath);
export const needsLua = needsNginx.skip ? needsNginx : needs('the lua module of nginx', luaPath, constants.R_OK);

// Two, so that what one of them knows alone would show.
const workers = 2;

function mainFile(folder: string): string {
	const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`);
	const modules = ['ndk_http_module', 'ngx_http_lua_module']
		.map((name) => `/usr/lib/nginx/modules/${name}.so`)
		.filter(existsSync);
	return `
		${modules.map((path) => `load_module ${path};`).join('\n')}
		user root;
		daemon off;
		worker_processes ${workers};
		pid ${folder}/nginx.pid;
		error_log stderr notice;
		events { worker_connections 8192; }
		http { access_log off; ${paths.join(' ')} include ${folder}/pathcast.conf; }`;
}

/** What each file has; the line of a node stands there so many times. */
export function commonPlaces(port: number, nodes: readonly Ports[], times = 1): Places {
	return [
		['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`],
		['/etc/ssl/certs/pathcast.pem', certPath],
		['/etc/ssl/private/pathcast.pem', keyPath],
		...nodes.map((node, i) => [`server 127.0.0.1:${8081 + i}`, `server 127.0.0.1:${node.port}`, times] as const),
	];
}

/** Runs nginx with a configuration for its http block, which is at the path that is given back. Resolves when it serves. */
export async function runNginx(t: Owner, configuration: string): Promise<{ command: Command; file: string }> {
	let running: Command | undefined;
	// Killed, it would leave its workers behind.
	t.after(async () => {
		running?.child.kill('SIGTERM');
		await running?.ended;
	});
	const folder = temporaryFolder(t);
	const file = `${folder}/pathcast.conf`;
	writeFileSync(file, configuration);
	writeFileSync(`${folder}/nginx.conf`, mainFile(folder));
	const command = runProgram(t, nginxPath, ['-e', 'stderr', '-p', folder, '-c', `${folder}/nginx.conf`]);
	running = command;
	await said(command, /start worker process \d+\n/, workers);
	return { command, file };
}

/** Starts it in front of nodes. `more` takes the place of what else the file says. */
export async function startNginx(t: Owner, file: string, nodes: readonly Ports[], more: Places = []): Promise<Front> {
	const port = await freePort();
	// Each node of a relay is its own backup.
	const places = [...commonPlaces(port, nodes, file === 'relay.conf' ? 2 : 1), ...more];
	const configuration = (extra: Places) => deployed(`nginx/${file}`, [...places, ...extra]);
	const { command, file: written } = await runNginx(t, configuration([]));
	const write = (extra: Places) => writeFileSync(written, configuration(extra));
	let reloads = 0;
	const reload = async (extra: Places) => {
		write(extra);
		command.child.kill('SIGHUP');
		reloads++;
		await said(command, /start worker process \d+\n/, workers * (1 + reloads));
		// Then the old ones take no new requests.
		await said(command, /gracefully shutting down\n/, workers * reloads);
	};
	return {
		port,
		hold: () => reload([['proxy_next_upstream error timeout;', 'proxy_next_upstream off;']]),
		release: () => reload([]),
		takeOut: (node) => reload([[`	server 127.0.0.1:${node.port} max_fails=0;\n`, '']]),
		putBack: () => reload([]),
		// It keeps no such state: it tries each request anew.
		sees: () => Promise.resolve(),
	};
}

/** Resolves when it has said so, so many times since the beginning. */
async function said(command: Command, notice: RegExp, times: number): Promise<void> {
	await command.until(() => {
		assert.doesNotMatch(command.stderr, /\[(emerg|alert|crit)\]/);
		return command.stderr.split(notice).length > times || undefined;
	});
}
