// Header fields with weights: Accept and Accept-Encoding (RFC 9110, section 12.4.2).

/** The weight of each item of such a field, 0 to 1, in lower case and without its other parameters. */
export function weightsOf(field: string): Map<string, number> {
	const weights = new Map<string, number>();
	for (const item of field.toLowerCase().split(',')) {
		const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
		const quality = parameters.find((parameter) => parameter.startsWith('q='));
		// A weight that is not a number counts as none.
		weights.set(name, quality === undefined ? 1 : Number(quality.slice(2)) || 0);
	}
	return weights;
}

const eventStream = 'text/event-stream';

/**
 * Whether a client wants an event stream rather than the page. It has to name `text/event-stream`: a wildcard alone, as curl sends it, means
 * the page. If it names `text/html` as well, the event stream needs the larger weight. If only a wildcard allows `text/html`, an equal
 * weight is enough.
 */
export function prefersEventStream(accept: string | undefined): boolean {
	if (accept === undefined || !accept.toLowerCase().includes(eventStream)) return false;
	const weights = weightsOf(accept);
	const weight = weights.get(eventStream) ?? 0;
	const pageWeight = weights.get('text/html');
	if (pageWeight !== undefined) return weight > pageWeight;
	return weight > 0 && weight >= (weights.get('text/*') ?? weights.get('*/*') ?? 0);
}
