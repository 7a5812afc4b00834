// What figures speak of.

/** Says that figures are those of this server alone, where others share its channels. */
export function scopeOf(isShared: boolean): { scope?: 'node' } {
	return isShared ? { scope: 'node' } : {};
}
