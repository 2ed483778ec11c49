// Trying to reach a device now.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { wakeDevice } from '~/api/devices';
import { asProblem } from '~/api/problem';
import { announce } from '~/app/announce';

export function useWake(device: string) {
  const queries = useQueryClient();
  const wake = useMutation({
    mutationFn: () => wakeDevice(device),
    onSuccess: (woken) => {
      announce(woken.words, woken.tried ? 'ok' : 'warn');
      void queries.invalidateQueries({ queryKey: ['device', device] });
    },
    onError: (error) => announce(asProblem(error).message, 'bad'),
  });
  return { busy: wake.isPending, start: () => wake.mutate() };
}
