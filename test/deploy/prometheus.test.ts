// The alerts: checked and tried by promtool, held to what the server really exposes, and to what docs/operating.md says to alert on.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { request } from '../support/http.js';
import { faultsOf, metricsIn, readExposition } from '../support/promql.js';
import { needs } from '../support/requirement.js';
import { startTestServer } from '../support/server.js';

const run = promisify(execFile);
const promtool = needs('promtool', '/usr/bin/promtool');
const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = `${root}deploy/prometheus`;
const rules = readFileSync(`${folder}/alerts.yml`, 'utf8');
const alerts = [...rules.matchAll(/^ +- alert: (\w+)\n +expr: (.+)$/gm)].map(([, name = '', expression = '']) => ({
	name,
	expression,
}));

test('promtool finds no fault in the alerts and the sample of a configuration', promtool, async () => {
	const { stdout } = await run('promtool', ['check', 'rules', 'alerts.yml'], { cwd: folder });
	assert.match(stdout, new RegExp(`SUCCESS: ${alerts.length} rules found`), 'this test reads all of them');
	await run('promtool', ['check', 'config', '--syntax-only', 'scrape.yml'], { cwd: folder });
});

test('each alert fires when it should and not when it should not, tried by promtool', promtool, async () => {
	const tests = readFileSync(`${folder}/alerts.test.yml`, 'utf8');
	for (const { name } of alerts) {
		assert.match(tests, new RegExp(`alertname: ${name}, exp_alerts: \\[\\] \\}`), `${name} is seen silent`);
		assert.match(tests, new RegExp(`alertname: ${name}\\n +exp_alerts:\\n +- exp_labels:`), `${name} is seen firing`);
	}
	await run('promtool', ['test', 'rules', 'alerts.test.yml'], { cwd: folder });
});

test('every metric, label and rate of the alerts is in a real answer of /metrics', async (t) => {
	const { operatorPort } = await startTestServer(t);
	const exposed = readExposition((await request(operatorPort, { path: '/metrics' })).body);
	assert.ok(alerts.length > 0);
	for (const { name, expression } of alerts) {
		assert.ok(metricsIn(expression).length > 0 || /^up\{/.test(expression), name);
		assert.deepEqual(faultsOf(expression, exposed), [], name);
	}
});

test('the alerts are those of docs/operating.md: its expressions and its thresholds', () => {
	const guide = readFileSync(`${root}docs/operating.md`, 'utf8');
	const table = /\| watch \| alert when \| it means \|\n\|[-|]+\n((?:\|.*\n)+)/.exec(guide)?.[1] ?? '';
	const rows = table
		.trim()
		.split('\n')
		.map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|')));
	assert.ok(rows.length >= 9);
	for (const [, watch = '', when = ''] of rows) {
		for (const [, expression = ''] of watch.matchAll(/`([^`]+)`/g)) {
			const found = alerts.filter((alert) => alert.expression.replaceAll('{job="pathcast"}', '').includes(expression));
			assert.ok(found.length > 0, `no alert has ${expression}`);
			const [, threshold] = /above ([0-9.]+)/.exec(when) ?? [];
			if (threshold !== undefined) {
				assert.ok(
					found.some((alert) => new RegExp(` > ${threshold.replace('.', '\\.')}(?![0-9.])`).test(alert.expression)),
					`${expression} above ${threshold}`,
				);
			}
		}
	}
	for (const name of ['Down', 'NotReady'])
		assert.match(rules, new RegExp(`alert: Pathcast${name}\\n.*\\n +for: 2m\\n`), 'for two minutes');
});
