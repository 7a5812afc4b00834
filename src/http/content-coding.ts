// Accept-Encoding -> the coding to answer in. Knows no documents.
import { weightsOf } from './quality.js';

/** The codings that the page has, the smallest first. */
const codings = ['br', 'gzip'] as const;
export type ContentCoding = (typeof codings)[number] | 'identity';

/**
 * The coding that the client weighs highest; among equals, the first in our list (RFC 9110, section 12.5.3). Without the field it is
 * identity, because simple clients such as curl do not decode. It is identity too if the client forbids all codings.
 */
export function preferredCoding(acceptEncoding: string | undefined): ContentCoding {
	if (acceptEncoding === undefined) return 'identity';
	const weights = weightsOf(acceptEncoding);
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
