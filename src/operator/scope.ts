// The scope of the figures in an answer: this server, or all.

/** Says that figures are those of this server alone, where others share its channels. */
export function scopeOf(isShared: boolean): { scope?: 'node' } {
	return isShared ? { scope: 'node' } : {};
}
