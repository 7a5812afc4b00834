// A line through measurements, by least squares.

type Point = { readonly x: number; readonly y: number };

/** The slope of the line, and the standard error of that slope. */
export function lineThrough(points: readonly Point[]): { readonly slope: number; readonly error: number } {
	const [middle, mean] = [meanOf(points.map(({ x }) => x)), meanOf(points.map(({ y }) => y))];
	const spread = sumOf(points.map(({ x }) => (x - middle) ** 2));
	const slope = sumOf(points.map(({ x, y }) => (x - middle) * (y - mean))) / spread;
	const residue = sumOf(points.map(({ x, y }) => (y - mean - slope * (x - middle)) ** 2));
	return { slope, error: Math.sqrt(residue / (points.length - 2) / spread) };
}

export function meanOf(values: readonly number[]): number {
	return sumOf(values) / values.length;
}

export function sumOf(values: readonly number[]): number {
	return values.reduce((sum, value) => sum + value, 0);
}
