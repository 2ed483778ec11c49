// The providers around every page.
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { whenSignedOut } from '~/api/client';
import { isShort } from '~/api/live-queries';
import { asProblem } from '~/api/problem';
import { expire, sessionQuery } from '~/api/session';
import { Announcements } from './announce';
import { makeRouter } from './router';
import { theme } from './theme';

/** A request that the network lost is tried again; one that was refused is not. */
const RETRIES_MAX = 2;

const queries = new QueryClient({
  queryCache: new QueryCache(),
  mutationCache: new MutationCache(),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => {
        const refuser = asProblem(error).refuser;
        return failures < RETRIES_MAX && (refuser === 'network' || refuser === 'server');
      },
      // A list scrolled far down is not read again page after page because one looked away.
      refetchOnWindowFocus: isShort,
      refetchOnMount: isShort,
      refetchOnReconnect: isShort,
    },
  },
});

const router = makeRouter(queries);
declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

whenSignedOut(() => {
  if (router.state.location.pathname === '/sign-in') return;
  if (queries.getQueryData(sessionQuery.queryKey)) expire();
  else void router.navigate({ to: '/sign-in', search: { to: router.state.location.href } });
});

const scheme = localStorageColorSchemeManager({ key: 'headend.scheme' });

export function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" colorSchemeManager={scheme}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
        <Announcements />
      </QueryClientProvider>
    </MantineProvider>
  );
}
