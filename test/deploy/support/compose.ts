// Starts the services of compose.yaml on this machine's 127.0.0.1, with other ports.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Command } from '../../support/command.js';
import { freePort } from '../../support/free-port.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { certPath, keyPath } from '../../support/tls.js';
import { changedRoot, startContainer, succeedUpon } from './container.js';
import { deployed } from './deployed.js';
import type { Image } from './image.js';

/** What the tests look at. */
export type Service = {
	readonly command?: readonly string[];
	readonly environment?: Readonly<Record<string, string>>;
	readonly networks?: { readonly default: { readonly ipv4_address: string } };
	readonly ports?: readonly string[];
	readonly volumes?: readonly string[];
	readonly user?: string;
	readonly depends_on?: readonly string[];
	readonly stop_grace_period?: string;
	readonly healthcheck?: { readonly test: readonly string[] };
	readonly ulimits?: { readonly nofile: number };
	readonly sysctls?: Readonly<Record<string, number>>;
	readonly read_only: boolean;
	readonly tmpfs?: readonly string[];
	readonly cap_drop: readonly string[];
	readonly cap_add?: readonly string[];
	readonly security_opt: readonly string[];
};
type Compose = {
	readonly services: { readonly pathcast: Service; readonly nginx: Service };
	readonly networks: { readonly default: { readonly ipam: { readonly config: readonly { readonly subnet: string }[] } } };
};

const file = new URL('../../../../deploy/compose.yaml', import.meta.url);
export const compose: Compose = parse(readFileSync(fileURLToPath(file), 'utf8'));
const { pathcast, nginx } = compose.services;

/** Starts pathcast. Gives also the lines of shell that check its health, as in the same container. */
export async function startPathcastOf(t: TestContext, image: Image): Promise<{ container: Command; health: string }> {
	const { command, env, folder, user } = image.stage;
	const container = startContainer(t, image.layers, image.newLayer, {
		command,
		env: { ...env, ...pathcast.environment, PATHCAST_ADDR: '127.0.0.1:0', PATHCAST_MPORT: '0' },
		folder,
		user,
		isReadOnly: pathcast.read_only,
		capabilities: pathcast.cap_add ?? [],
		emptyFolders: pathcast.tmpfs ?? [],
	});
	const [kind, ...check] = pathcast.healthcheck?.test ?? [];
	assert.equal(kind, 'CMD');
	const checkHere = exchange(check, '127.0.0.1:8082', `127.0.0.1:${await container.operatorPort()}`);
	return { container, health: changedRoot({ command: checkHere, env, folder, user }) };
}

/** Starts nginx in front of pathcast on this port. Gives the port where it speaks TLS. */
export async function startNginxOf(t: TestContext, { stage, newLayer }: Image, pathcastPort: number): Promise<number> {
	const port = await freePort();
	const conf = `${temporaryFolder(t)}/pathcast.conf`;
	writeFileSync(conf, deployed('nginx/pathcast.conf', [['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`]]));
	const here = new Map([
		['./nginx/pathcast.conf', conf],
		['/etc/ssl/certs/pathcast.pem', certPath],
		['/etc/ssl/private/pathcast.pem', keyPath],
	]);
	const files = (nginx.volumes ?? []).map((volume) => {
		const [source = '', target = '', mode] = volume.split(':');
		assert.equal(mode, 'ro');
		return [here.get(source) ?? source, target] as const;
	});
	const standIn = newLayer();
	await succeedUpon(t, [standIn], standInLines);
	const node = `${pathcast.networks?.default?.ipv4_address}:${stage.ports[0]}`;
	const container = startContainer(t, [standIn], newLayer, {
		command: exchange(nginx.command ?? [], node, `127.0.0.1:${pathcastPort}`),
		capabilities: nginx.cap_add ?? [],
		isReadOnly: nginx.read_only,
		emptyFolders: nginx.tmpfs ?? [],
		files,
	});
	await container.until(() => {
		assert.doesNotMatch(container.stderr, /\[(emerg|alert|crit)\]/);
		return /start worker process/.exec(container.stderr) ?? undefined;
	});
	return port;
}

/** The words with another address, which must stand there exactly once. */
function exchange(words: readonly string[], there: string, here: string): string[] {
	assert.equal(words.join(' ').split(there).length, 2, `${words.join(' ')} has ${there} once`);
	return words.map((word) => word.replace(there, here));
}

// Debian's nginx as the image nginx has it: its main file, its log on standard error, its temporary files in /var/cache/nginx.
const mainFile = `
	user www-data;
	error_log stderr notice;
	pid /run/nginx.pid;
	events { worker_connections 1024; }
	http { access_log off; include /etc/nginx/conf.d/*.conf; }`;
const standInLines = `
	echo '${mainFile}' >"$root/etc/nginx/nginx.conf"
	ln -sf /dev/null "$root/var/log/nginx/error.log"
	mkdir -p "$root/var/cache/nginx"
	rm -rf "$root/var/lib/nginx"
	ln -s /var/cache/nginx "$root/var/lib/nginx"`;
