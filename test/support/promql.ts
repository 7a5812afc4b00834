// Reads enough of PromQL to compare an expression with a real answer of /metrics: its metrics, their labels, and which are counters.

/** The labels that a scrape adds to every series. */
const scraped = ['job', 'instance'];

type Exposed = ReadonlyMap<string, { readonly type: string; readonly labels: readonly Record<string, string>[] }>;

/** The series of an answer in Prometheus' text format, by metric. */
export function readExposition(text: string): Exposed {
	const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
	const exposed = new Map<string, { type: string; labels: Record<string, string>[] }>();
	for (const [, name = '', labels = ''] of text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? \S+$/gim)) {
		const metric = exposed.get(name) ?? { type: typeOf(name, types), labels: [] };
		metric.labels.push(
			Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value])),
		);
		exposed.set(name, metric);
	}
	return exposed;
}

/** The series of a histogram count up. */
function typeOf(name: string, types: ReadonlyMap<string, string>): string {
	const histogram = name.replace(/_(bucket|sum|count)$/, '');
	if (histogram !== name && types.get(histogram) === 'histogram') return 'counter';
	return types.get(name) ?? 'untyped';
}

/** The metrics that an expression names. */
export function metricsIn(expression: string): string[] {
	return [...withoutStrings(expression).matchAll(/\b(?:pathcast|nodejs|process)_\w+/g)].map(([name]) => name);
}

/** The metrics, label values and labels to sum by that do not exist, and the rates of metrics that are not counters. */
export function faultsOf(expression: string, exposed: Exposed): string[] {
	const faults: string[] = [];
	const labelNames = new Set(scraped);
	for (const [, call = '', name = '', matchers = ''] of expression.matchAll(
		/(\w+\()?\b((?:pathcast|nodejs|process)_\w+)(?:\{([^}]*)\})?/g,
	)) {
		const metric = exposed.get(name);
		if (metric === undefined) {
			faults.push(`no metric ${name}`);
			continue;
		}
		if (['rate(', 'increase('].includes(call) !== (metric.type === 'counter')) faults.push(`${call}${name} is a ${metric.type}`);
		for (const label of metric.labels.flatMap((labels) => Object.keys(labels))) labelNames.add(label);
		for (const [, label = '', values = ''] of matchers.matchAll(/(\w+)=~?"([^"]*)"/g)) {
			if (scraped.includes(label)) continue;
			for (const value of values.split('|')) {
				if (!metric.labels.some((labels) => labels[label] === value)) faults.push(`no ${name}{${label}="${value}"}`);
			}
		}
	}
	for (const [, labels = ''] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
		for (const label of labels.split(/, */)) if (!labelNames.has(label)) faults.push(`no label ${label}`);
	}
	return faults;
}

function withoutStrings(expression: string): string {
	return expression.replace(/"[^"]*"/g, '""');
}
