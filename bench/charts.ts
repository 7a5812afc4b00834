// One static bar chart per scenario. ECharts draws it to SVG without a browser.

import { BarChart } from 'echarts/charts';
import { GridComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { figure, isBare, isPathcast, type Row, ranked, unitOf } from './results.js';
import type { Scenario } from './scenarios.js';

use([BarChart, GridComponent, TitleComponent, SVGRenderer]);

const colors = { pathcast: '#d9480f', bare: '#adb5bd', other: '#4c6ef5', text: '#495057' };
const width = 760;
const barHeight = 30;

/** The medians as bars, the best on top; below the title the machine and the day. A peer without a value says why. */
export function chart(scenario: Scenario, rows: readonly Row[], machine: string): string {
	const worstFirst = ranked(scenario, rows).reverse();
	const svg = init(null, null, { renderer: 'svg', ssr: true, width, height: 110 + barHeight * rows.length });
	const better = scenario.decides === 'cpu' ? 'more is better' : 'less is better';
	svg.setOption({
		animation: false,
		backgroundColor: '#ffffff',
		title: {
			text: `${scenario.id}: ${unitOf(scenario)}, ${better}`,
			subtext: `${wrapped(scenario.question)}\n${machine}`,
			left: 12,
			top: 8,
			textStyle: { fontSize: 15 },
			subtextStyle: { fontSize: 11, color: colors.text },
		},
		grid: { left: 190, right: 90, top: 88, bottom: 12 },
		xAxis: { type: 'value', show: false, min: 0 },
		yAxis: { type: 'category', data: worstFirst.map(({ peer }) => peer), axisLine: { show: false }, axisTick: { show: false } },
		series: [
			{
				type: 'bar',
				barWidth: 18,
				data: worstFirst.map((row) => ({
					value: row.value?.median ?? 0,
					itemStyle: { color: isPathcast(row) ? colors.pathcast : isBare(row) ? colors.bare : colors.other },
					label: { show: true, position: 'right', color: colors.text, formatter: label(row) },
				})),
			},
		],
	});
	const drawn = svg.renderToSVGString();
	svg.dispose();
	return drawn;
}

function label({ value, failed, missing }: Row): string {
	if (value !== undefined) return figure(value.median);
	return failed === undefined ? (missing ?? 'no figures') : `failed: ${failed}`.slice(0, 90);
}

function wrapped(text: string): string {
	return text.replaceAll(/(.{1,110})(?:\s|$)/g, '$1\n').trimEnd();
}
