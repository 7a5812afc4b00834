// A line through measurements, by least squares.

/** The slope, and its standard error, for places 0, 1, 2 … */
export function slopeOf(values: readonly number[]): { readonly slope: number; readonly error: number } {
	const count = values.length;
	const middle = (count - 1) / 2;
	const mean = values.reduce((sum, value) => sum + value, 0) / count;
	const spread = values.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
	const slope = values.reduce((sum, value, i) => sum + (i - middle) * (value - mean), 0) / spread;
	const residue = values.reduce((sum, value, i) => sum + (value - mean - slope * (i - middle)) ** 2, 0);
	return { slope, error: Math.sqrt(residue / (count - 2) / spread) };
}
