/** The value, or `otherwise` when it is not there after `ms` milliseconds. Rejects as it does. */
export const atMost = async <T>(value: Promise<T>, ms: number, otherwise: T): Promise<T> => {
  const late = Promise.withResolvers<T>();
  const timer = setTimeout(late.resolve, ms, otherwise);
  try {
    return await Promise.race([value, late.promise]);
  } finally {
    clearTimeout(timer);
  }
};
