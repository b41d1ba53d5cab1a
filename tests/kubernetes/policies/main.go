// SPDX-License-Identifier: GPL-3.0-or-later

// policies: the part of kube-router that puts NetworkPolicies in force on a node, with iptables and ipset; its router and
// its service proxy need not be compiled. Takes kube-router's options. At SIGTERM it removes its rules.
package main

import (
	"flag"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/pflag"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// must ends the program when something failed.
func must(err error) {
	if err != nil {
		klog.ErrorS(err, "policies ends")
		klog.FlushAndExit(klog.ExitFlushTimeout, 1)
	}
}

func main() {
	klog.InitFlags(nil)
	config := options.NewKubeRouterConfig()
	config.AddFlags(pflag.CommandLine)
	pflag.Parse()
	must(flag.Set("logtostderr", "true"))
	must(flag.Set("v", config.VLevel))

	rest, err := clientcmd.BuildConfigFromFlags(config.Master, config.Kubeconfig)
	must(err)
	client, err := kubernetes.NewForConfig(rest)
	must(err)

	stop := make(chan struct{})
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(stop)
	factory.WaitForCacheSync(stop)

	tables, sets, err := netpol.NewIPTablesHandlers(config)
	must(err)
	var mutex sync.Mutex
	controller, err := netpol.NewNetworkPolicyController(client, config, pods, policies, namespaces, &mutex, tables, sets)
	must(err)
	for _, watched := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{pods, controller.PodEventHandler},
		{namespaces, controller.NamespaceEventHandler},
		{policies, controller.NetworkPolicyEventHandler},
	} {
		_, err = watched.informer.AddEventHandler(watched.handler)
		must(err)
	}

	// It reports that it lives; kube-router's health check would read that.
	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats {
		}
	}()
	var group sync.WaitGroup
	group.Add(1)
	go controller.Run(beats, stop, &group)

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	close(stop)
	group.Wait()
	controller.Cleanup()
}
