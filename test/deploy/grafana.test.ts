// The dashboard: a shape that Grafana takes, and queries that the server answers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { request } from '../support/http.js';
import { faultsOf, metricsIn, readExposition } from '../support/promql.js';
import { startTestServer } from '../support/server.js';

type Source = { readonly type: string; readonly uid: string };
type Panel = {
	readonly id: number;
	readonly type: string;
	readonly title: string;
	readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
	readonly datasource: Source;
	readonly targets: readonly {
		readonly refId: string;
		readonly expr: string;
		readonly datasource: Source;
		readonly legendFormat: string;
	}[];
};
type Dashboard = {
	readonly title: string;
	readonly schemaVersion: number;
	readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly query: string }[] };
	readonly panels: readonly Panel[];
};

const dashboard: Dashboard = JSON.parse(readFileSync(new URL('../../../deploy/grafana/pathcast.json', import.meta.url), 'utf8'));
const { panels, templating } = dashboard;

test('the dashboard has panels of their own ids and titles that lie in the grid and not upon each other', () => {
	assert.ok(dashboard.schemaVersion >= 36 && dashboard.title === 'pathcast');
	assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
	assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
	const cells = new Set<string>();
	for (const { title, gridPos } of panels) {
		assert.ok(gridPos.x >= 0 && gridPos.w > 0 && gridPos.x + gridPos.w <= 24 && gridPos.h > 0, title);
		for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
			for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
				assert.ok(!cells.has(`${x},${y}`), `${title} lies upon another panel`);
				cells.add(`${x},${y}`);
			}
		}
	}
});

test('the dashboard asks which Prometheus and which nodes, and every query uses both', () => {
	const variables = new Map(templating.list.map(({ name, type }) => [name, type]));
	assert.deepEqual(
		[...variables],
		[
			['datasource', 'datasource'],
			['instance', 'query'],
		],
	);
	for (const { title, datasource, targets } of panels) {
		assert.ok(targets.length > 0, title);
		assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
		for (const target of targets) {
			for (const source of [datasource, target.datasource]) {
				assert.deepEqual(source, { type: 'prometheus', uid: '$' + '{datasource}' }, title);
			}
			const used = [...target.expr.matchAll(/\$(\w+)/g)].map(([, name]) => name ?? '');
			for (const name of used) assert.ok(name === '__rate_interval' || variables.has(name), `${title}: $${name}`);
			for (const name of metricsIn(target.expr)) assert.ok(target.expr.includes(`${name}{instance=~"$instance"}`), title);
		}
	}
});

test('every metric, label and rate of the dashboard is in a real answer of /metrics', async (t) => {
	const { operatorPort } = await startTestServer(t);
	const exposed = readExposition((await request(operatorPort, { path: '/metrics' })).body);
	for (const { title, targets } of panels) {
		for (const { expr, legendFormat } of targets) {
			assert.ok(metricsIn(expr).length > 0, title);
			assert.deepEqual(faultsOf(expr, exposed), [], title);
			const [, label = 'instance'] = /\{\{(\w+)\}\}/.exec(legendFormat) ?? [];
			assert.ok(label === 'instance' || expr.includes(`by (${label})`), `${title}: nothing is called ${label}`);
		}
	}
	for (const { type, query } of templating.list) {
		if (type === 'query') assert.deepEqual(faultsOf(query, exposed), [], query);
	}
	// The metrics that docs/operating.md says to watch are there to be seen.
	const guide = readFileSync(new URL('../../../docs/operating.md', import.meta.url), 'utf8');
	const watched = metricsIn(/^## In production$(.*?)^## /ms.exec(guide)?.[1] ?? '').filter((name) => exposed.has(name));
	const shown = new Set(panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsIn(expr))));
	assert.ok(new Set(watched).size >= 9);
	for (const name of watched) assert.ok(shown.has(name), `${name} is to be watched and has no panel`);
});
