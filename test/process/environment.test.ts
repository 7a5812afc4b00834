import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOptions } from '#src/options/reading.js';
import { type OptionName, optionTable, variableOf } from '#src/options/table.js';
import { anyPort, refuses, runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { post } from '../support/http.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const withEnv = (variables: Record<string, string>) => ({ ...process.env, ...variables });

test('every option can be set by the environment, and a flag beats it', async (t) => {
	const small = runCommand(t, anyPort, [], withEnv({ PATHCAST_MAX_MESSAGE: '4', PATHCAST_ADDR: 'nonsense' }));
	assert.equal((await post(await small.port(), '/', '12345')).status, 413);
	const beaten = runCommand(t, [...anyPort, '--max-message', '5'], [], withEnv({ PATHCAST_MAX_MESSAGE: '4' }));
	assert.equal((await post(await beaten.port(), '/', '12345')).status, 200);

	const values: Partial<Record<OptionName, [string, unknown]>> = {
		addr: ['/run/x.sock', { path: '/run/x.sock' }],
		addrMode: ['0600', 0o600],
		mport: ['9', { host: '127.0.0.1', port: 9 }],
		tlsCert: ['/c', '/c'],
		tlsKey: ['/k', '/k'],
		origin: ['same_origin', ['same_origin']],
		clientPublish: ['none', 'none'],
		post: ['admin', 'admin'],
		trustProxy: ['10.0.0.0/8', [{ address: '10.0.0.0', prefixBits: 8, family: 'ipv4' }]],
		auth: ['http://a/b?c', new URL('http://a/b?c')],
		authTimeout: ['9s', 9],
		authConcurrency: ['3', 3],
		sessionHeader: ['X-Kuiperbelt-Session', 'X-Kuiperbelt-Session'],
		endpoint: ['node1:8082', 'node1:8082'],
		strictBroadcast: ['true', true],
		publishHook: ['https://a/', new URL('https://a/')],
		webhook: ['http://a/,http://b/', [new URL('http://a/'), new URL('http://b/')]],
		webhookEvents: ['connect,slow', ['connect', 'slow']],
		webhookSecretFile: ['/s', '/s'],
		closeCallback: ['http://a/', new URL('http://a/')],
		relay: [
			'rediss://u@h:7000',
			{
				hosts: [{ host: 'h', port: 7_000 }],
				path: undefined,
				masterName: undefined,
				isTls: true,
				username: 'u',
				password: undefined,
			},
		],
		relayPasswordFile: ['/p', '/p'],
		relayCa: ['/ca', '/ca'],
		relayCert: ['/rc', '/rc'],
		relayKey: ['/rk', '/rk'],
		relayPrefix: ['other:', 'other:'],
		relayTimeout: ['9s', 9],
		relayLinger: ['1m', 60],
		maxMessage: ['1KiB', 1_024],
		maxPath: ['9', 9],
		binary: ['true', true],
		echoKeepalive: ['true', true],
		groups: ['true', true],
		pingTimeout: ['0', 0],
		maxBacklog: ['1MiB', 1_048_576],
		writeTimeout: ['2m', 120],
		maxConnections: ['7', 7],
		maxChannels: ['8', 8],
		maxSubscribers: ['9', 9],
		maxGroups: ['10', 10],
		maxRate: ['10', 10],
		memoryBudget: ['64MiB', 67_108_864],
		maxAge: ['1h', 3_600],
		drain: ['1m', 60],
		drainDelay: ['2s', 2],
		log: ['/l', '/l'],
		logFormat: ['text', 'text'],
		logLevel: ['debug', 'debug'],
	};
	assert.deepEqual(Object.keys(values).sort(), Object.keys(optionTable).sort());
	const env = Object.fromEntries(Object.entries(values).map(([name, [text]]) => [variableOf(name as OptionName), text]));
	const options = readOptions([], env, 'test');
	for (const [name, [, value]] of Object.entries(values)) assert.deepEqual(options[name as keyof typeof options], value, name);
});

test('on/off options take true or false, by flag and by the environment', async (t) => {
	const read = (args: string[], env = {}) => {
		const options = readOptions(args, env, 'test');
		assert.ok(!('text' in options));
		return options.binary;
	};
	assert.equal(read([]), false);
	assert.equal(read(['--binary']), true);
	assert.equal(read(['--binary', '--max-path', '1']), true);
	assert.equal(read(['--binary=true']), true);
	assert.equal(read(['-binary=false']), false);
	assert.equal(read([], { PATHCAST_BINARY: 'true' }), true);
	assert.equal(read(['--binary', 'false'], { PATHCAST_BINARY: 'true' }), false);
	assert.equal(read(['--binary'], { PATHCAST_BINARY: 'false' }), true);
	await refuses(t, [], 'PATHCAST_BINARY: "yes" is none of true, false.', [], withEnv({ PATHCAST_BINARY: 'yes' }));
	await refuses(t, ['--binary=1'], '--binary: "1" is none of true, false.');
});

test('an unknown PATHCAST_ variable is an error that suggests the nearest', async (t) => {
	const cases = {
		PATHCAST_MAX_MESAGE: 'PATHCAST_MAX_MESSAGE',
		PATHCAST_ADDRESS: 'PATHCAST_ADDR',
		PATHCAST_LOGLEVEL: 'PATHCAST_LOG_LEVEL',
	};
	for (const [wrong, right] of Object.entries(cases)) {
		await refuses(
			t,
			anyPort,
			`${wrong} is no option; did you mean ${right}? pathcast --help lists them.`,
			[],
			withEnv({ [wrong]: 'x' }),
		);
	}
	await refuses(
		t,
		[],
		'PATHCAST_MAX_MESSAGE: "-1" is not a size from 1 to 64MiB: write bytes, or 64KiB, or 4MiB.',
		[],
		withEnv({ PATHCAST_MAX_MESSAGE: '-1' }),
	);
});

test('variables that Kubernetes injects for a Service called pathcast are no options, and do no harm', async (t) => {
	const injected = {
		PATHCAST_SERVICE_HOST: '10.0.0.1',
		PATHCAST_SERVICE_PORT: '8081',
		PATHCAST_SERVICE_PORT_HTTP: '8081',
		PATHCAST_PORT: 'tcp://10.0.0.1:8081',
		PATHCAST_PORT_8081_TCP: 'tcp://10.0.0.1:8081',
		PATHCAST_PORT_8081_TCP_ADDR: '10.0.0.1',
	};
	const command = runCommand(t, anyPort, [], withEnv(injected));
	assert.equal((await post(await command.port(), '/', 'x')).status, 200);
});

test("pinghub's own spelling of its flags works", async (t) => {
	const file = `${temporaryFolder(t)}/x.log`;
	const port = await freePort();
	const mport = await freePort();
	const flags = [`-addr=127.0.0.1:${port}`, '-log', file, '-mport', String(mport), '-origin', 'https://example.com'];
	const command = runCommand(t, flags);
	await command.wroteTo(file, new RegExp(`listens on 127.0.0.1:${port}, operator on 127.0.0.1:${mport}`));
	assert.equal((await post(port, '/', 'x', { Origin: 'https://example.com' })).status, 200);
	assert.equal((await post(port, '/', 'x', { Origin: 'https://evil.example' })).status, 403);
	assert.equal(command.stdout, '');
});
