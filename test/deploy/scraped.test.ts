// A real Prometheus with our sample of a configuration scrapes a running pathcast: the alerts and the dashboard's queries are answered.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { handshakeHeaders, request } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { startTestServer } from '../support/server.js';
import { answering, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Rule = {
	readonly name: string;
	readonly health: string;
	readonly lastError?: string;
	readonly alerts: readonly { readonly state: string; readonly labels: Record<string, string> }[];
};
type Panel = { readonly title: string; readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[] };
type Series = { readonly metric: Record<string, string> };

type Ask = (path: string) => Promise<unknown>;

const deploy = fileURLToPath(new URL('../../../deploy/', import.meta.url));
const prometheus = '/usr/bin/prometheus';

/** Starts a Prometheus that scrapes these operator's listeners five times a second, and gives a way to ask it. */
async function scraping(t: TestContext, operatorPorts: readonly number[]): Promise<Ask> {
	const folder = temporaryFolder(t);
	const port = await freePort();
	const sample = readFileSync(`${deploy}prometheus/scrape.yml`, 'utf8');
	assert.match(sample, /scrape_interval: 15s[\s\S]*targets: \[127\.0\.0\.1:18081, 127\.0\.0\.1:18082\]/);
	const config = sample
		.replace(/targets: .*/, `targets: [${operatorPorts.map((operatorPort) => `127.0.0.1:${operatorPort}`).join(', ')}]`)
		.replace('scrape_interval: 15s', 'scrape_interval: 200ms\n    scrape_timeout: 200ms');
	writeFileSync(`${folder}/prometheus.yml`, `global: { evaluation_interval: 100ms }\n${config}`);
	copyFileSync(`${deploy}prometheus/alerts.yml`, `${folder}/alerts.yml`);
	const child = spawn(
		prometheus,
		[`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=127.0.0.1:${port}`],
		{ stdio: ['ignore', 'pipe', 'pipe'] },
	);
	const command = new Command(child);
	t.after(async () => {
		child.kill('SIGKILL');
		await command.ended;
	});
	await command.until(() => /Server is ready/.exec(command.stderr) ?? undefined);
	return async (path) => {
		const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
		const { status, data, error } = (await response.json()) as { status: string; data: unknown; error?: string };
		assert.equal(status, 'success', `${path}: ${error}`);
		return data;
	};
}

async function rulesOf(ask: Ask): Promise<readonly Rule[]> {
	const { groups } = (await ask('rules')) as { groups: readonly { rules: readonly Rule[] }[] };
	return groups.flatMap(({ rules }) => rules);
}

async function query(ask: Ask, expression: string): Promise<readonly Series[]> {
	const { result } = (await ask(`query?query=${encodeURIComponent(expression)}`)) as { result: readonly Series[] };
	return result;
}

/** Asks again until the answer is right; what is waited for happens five times a second. */
async function until<Answer>(ask: () => Promise<Answer>, isRight: (answer: Answer) => boolean): Promise<Answer> {
	const giveUpAt = performance.now() + 15_000;
	for (;;) {
		const answer = await ask();
		if (isRight(answer)) return answer;
		assert.ok(performance.now() < giveUpAt, JSON.stringify(answer));
	}
}

/** Waits until an alert is in that state for that node, and gives its labels. */
async function alerted(ask: Ask, name: string, state: string, operatorPort: number): Promise<Record<string, string>> {
	const instance = `127.0.0.1:${operatorPort}`;
	const find = (rules: readonly Rule[]) =>
		rules.find((rule) => rule.name === name)?.alerts.find((alert) => alert.state === state && alert.labels.instance === instance);
	return (
		find(
			await until(
				() => rulesOf(ask),
				(rules) => find(rules) !== undefined,
			),
		)?.labels ?? {}
	);
}

// One Prometheus for all: it takes five seconds until it scrapes.
test('a Prometheus with the sample of a configuration scrapes two servers', needs('prometheus', prometheus), async (t) => {
	// One service for all hooks: it allows and accepts everything.
	const { url } = await startService(t, answering(204, [['X-Session', 'alice']]));
	const hooks = ['--auth', '--publish-hook', '--webhook', '--close-callback'].flatMap((flag) => [flag, url]);
	const roomy = await startTestServer(t, '--memory-budget', '4096MiB', ...hooks);
	const narrow = await startTestServer(t, '--max-channels', '1');
	const ask = await scraping(t, [roomy.operatorPort, narrow.operatorPort]);
	// A rate takes two samples.
	await until(
		() => query(ask, 'count_over_time(up[1m]) > 2'),
		(result) => result.length === 2,
	);

	await t.test('while nothing is wrong every alert is evaluated and none fires', async () => {
		const rules = await until(
			() => rulesOf(ask),
			(found) => found.every(({ health }) => health !== 'unknown'),
		);
		const written = readFileSync(`${deploy}prometheus/alerts.yml`, 'utf8').match(/- alert: /g);
		assert.equal(rules.length, written?.length);
		for (const { name, health, lastError, alerts } of rules) {
			const isFiring = alerts.some(({ state }) => state === 'firing');
			assert.deepEqual([name, health, lastError, isFiring], [name, 'ok', undefined, false]);
		}
	});

	await t.test('every query of the dashboard is answered, with the label that its legend shows', async (t) => {
		const subscriber = await subscribe(t, roomy.ws('/room'));
		const { panels } = JSON.parse(readFileSync(`${deploy}grafana/pathcast.json`, 'utf8')) as { panels: readonly Panel[] };
		for (const { title, targets } of panels) {
			for (const { expr, legendFormat } of targets) {
				const expression = expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.+');
				// Something to count: a delivery, a refusal, a websocket that comes and goes.
				const use = async () => {
					subscriber.send('x');
					await subscriber.next();
					await request(roomy.port, { path: '/%' });
					await (await subscribe(t, roomy.ws('/passing'))).close();
					return query(ask, expression);
				};
				const result = await until(use, (answer) => answer.length > 0);
				const [, label] = /^\{\{(\w+)\}\}$/.exec(legendFormat) ?? [];
				if (label !== undefined) for (const { metric } of result) assert.ok(metric[label], `${title}: ${JSON.stringify(metric)}`);
			}
		}
	});

	await t.test('one upgrade that meets a limit fires an alert, a server that has gone begins another', async (t) => {
		await subscribe(t, narrow.ws('/one'));
		assert.equal((await request(narrow.port, { path: '/two', headers: handshakeHeaders })).status, 503);
		const { reason } = await alerted(ask, 'PathcastLimitReached', 'firing', narrow.operatorPort);
		assert.equal(reason, 'channels');
		await narrow.stop();
		// It fires after two minutes.
		await alerted(ask, 'PathcastDown', 'pending', narrow.operatorPort);
	});
});
