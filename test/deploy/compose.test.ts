// Holds deploy/compose.yaml to the Dockerfile, to the options, and to the other files of deploy. image.test.ts runs it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readOptions } from '#src/options/reading.js';
import { readUnit, secondsOf, setting } from '../support/unit-file.js';
import { compose } from './support/compose.js';
import { lastStage } from './support/image.js';

const deploy = fileURLToPath(new URL('../../../deploy/', import.meta.url));
const nginxConf = readFileSync(`${deploy}nginx/pathcast.conf`, 'utf8');
const { pathcast, nginx } = compose.services;
const [{ subnet } = { subnet: '' }] = compose.networks.default.ipam.config;

test('compose.yaml publishes the port of nginx alone, and neither that of pathcast nor that of its operator', () => {
	assert.equal(pathcast.ports, undefined);
	assert.deepEqual(nginx.ports, ['443:443']);
	assert.match(nginxConf, /^\tlisten 443 ssl;$/m);
});

test('compose.yaml gives pathcast an address in its network, all of which pathcast trusts to name its clients', () => {
	const network = new BlockList();
	const [address = '', bits] = subnet.split('/');
	network.addSubnet(address, Number(bits));
	assert.ok(network.check(pathcast.networks?.default.ipv4_address ?? ''));
	assert.equal(pathcast.environment?.PATHCAST_TRUST_PROXY, subnet);
});

test('compose.yaml stops pathcast before nginx, and waits for longer than the delay, the drain and what peers leave open', () => {
	assert.deepEqual([pathcast.depends_on, nginx.depends_on], [['nginx'], undefined]);
	const options = readOptions([], { ...lastStage().env, ...pathcast.environment }, 'test');
	assert.ok(!('text' in options));
	assert.ok(secondsOf(pathcast.stop_grace_period ?? '') > options.drainDelay + options.drain + 11);
});

test('compose.yaml starts both with read-only files and without rights that they do not need', () => {
	for (const service of [pathcast, nginx]) {
		assert.deepEqual([service.read_only, service.user, service.cap_drop], [true, undefined, ['ALL']]);
		assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
	}
	assert.equal(pathcast.cap_add, undefined);
});

test('the limits of pathcast in compose.yaml are those of the systemd unit and of the kernel settings', () => {
	assert.equal(String(pathcast.ulimits?.nofile), setting(readUnit(`${deploy}systemd/pathcast@.service`), 'LimitNOFILE'));
	const settings = readFileSync(`${deploy}sysctl/60-pathcast.conf`, 'utf8').split('\n');
	const [line, ...more] = Object.entries(pathcast.sysctls ?? {}).map(([name, value]) => `${name} = ${value}`);
	assert.ok(line !== undefined && settings.includes(line) && more.length === 0);
});
