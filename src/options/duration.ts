// Durations as people write them: 30s, 2m, 12h. Zero needs no unit.

const unitSeconds = { h: 3_600, m: 60, s: 1 } as const;
type Unit = keyof typeof unitSeconds;

/** In seconds; undefined if the text is no duration. */
export function readDuration(text: string): number | undefined {
	if (text === '0') return 0;
	const [, count, unit] = /^([0-9]{1,6})([hms])$/.exec(text) ?? [];
	return unit === undefined ? undefined : Number(count) * unitSeconds[unit as Unit];
}

/** In the largest unit that needs no fraction. */
export function formatDuration(seconds: number): string {
	const units = Object.keys(unitSeconds) as Unit[];
	const unit = units.find((candidate) => seconds > 0 && seconds % unitSeconds[candidate] === 0) ?? 's';
	return `${seconds / unitSeconds[unit]}${unit}`;
}
