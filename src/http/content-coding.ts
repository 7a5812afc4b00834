// Accept-Encoding -> the coding to answer in. Knows no documents.

/** The codings that the page has, the smallest first. */
const codings = ['br', 'gzip'] as const;
export type ContentCoding = (typeof codings)[number] | 'identity';

/**
 * The coding that the client weighs highest; among equals, the first in our list (RFC 9110, section 12.5.3). Without the field it is
 * identity, because simple clients such as curl do not decode. It is identity too if the client forbids all codings.
 */
export function preferredCoding(acceptEncoding: string | undefined): ContentCoding {
	if (acceptEncoding === undefined) return 'identity';
	const weights = new Map<string, number>();
	for (const item of acceptEncoding.toLowerCase().split(',')) {
		const [coding = '', ...parameters] = item.split(';').map((part) => part.trim());
		const quality = parameters.find((parameter) => parameter.startsWith('q='));
		// A weight that is not a number counts as none.
		weights.set(coding, quality === undefined ? 1 : Number(quality.slice(2)) || 0);
	}
	const weightOf = (coding: string) => weights.get(coding) ?? weights.get('*') ?? 0;
	let best: ContentCoding = 'identity';
	let bestWeight = weights.get('identity') ?? 0;
	for (const coding of codings) {
		if (weightOf(coding) <= bestWeight) continue;
		best = coding;
		bestWeight = weightOf(coding);
	}
	return best;
}
